"""Puts the files of a tar archive (standard input) into BUCKET of the stand-in. Creates that
bucket and the other ones named if they do not exist."""

import sys
import tarfile

import boto3

s3 = boto3.client(
    "s3",
    endpoint_url="http://127.0.0.1:5000",
    region_name="eu-central-1",
    aws_access_key_id="stand-in",
    aws_secret_access_key="stand-in",
)
bucket, *others = sys.argv[1:]
place = {"LocationConstraint": "eu-central-1"}
existing = {each["Name"] for each in s3.list_buckets()["Buckets"]}
for name in {bucket, *others} - existing:
    s3.create_bucket(Bucket=name, CreateBucketConfiguration=place)
count = 0
with tarfile.open(fileobj=sys.stdin.buffer, mode="r|*") as archive:
    for member in archive:
        if member.isfile():
            key = member.name.removeprefix("./")
            s3.put_object(Bucket=bucket, Key=key, Body=archive.extractfile(member).read())
            count += 1
print(f"{count} objects put into s3://{bucket}")
