"""moto's server as the tests need it: one process, a port that it chooses, and S3 where
two requests at once behave as they do on AWS.

It prints its port when it listens. It exits when its standard input closes, so that it
never outlives the test process.

Differences from stock moto 5.2.5, each because a test would be wrong without it:
- conditional writes, completions and aborts run one at a time (stock moto lets two
  writers with `If-None-Match: *` win now and then);
- a part or a completion of an unknown upload is `NoSuchUpload`, not a 500;
- uploads are listed in order and in pages, with the time at which they started (stock
  moto returns all at once, started in 2010);
- `PUT /_gate/prefill/BUCKET`, a key per line, creates a bucket with these small objects
  without storing them: 100,000 requests would take minutes, and listing them is
  quadratic in stock moto.
"""

import bisect
import datetime
import logging
import os
import socket
import sys
import threading
import urllib.parse
from xml.sax.saxutils import escape

# Small pages, so that every listing of a test has several. moto reads this at its import.
os.environ.setdefault("MOTO_S3_DEFAULT_MAX_KEYS", "100")
UPLOADS_PER_PAGE = 7
KEYS_PER_PAGE = 1000

from moto.core.responses import ActionResult  # noqa: E402
from moto.moto_server.werkzeug_app import (  # noqa: E402
    DomainDispatcherApplication,
    MotoRequestHandler,
    create_backend_app,
)
from moto.s3.exceptions import NoSuchUpload  # noqa: E402
from moto.s3.models import FakeKey, FakeMultipart, S3Backend  # noqa: E402
from moto.s3.responses import S3Response  # noqa: E402
from werkzeug.serving import make_server  # noqa: E402

ONE_AT_A_TIME = threading.Lock()
CONDITIONS = ("HTTP_IF_MATCH", "HTTP_IF_NONE_MATCH")
SMALL_OBJECT = b"small"
LISTING = """<?xml version="1.0" encoding="UTF-8"?>
<ListBucketResult xmlns="http://s3.amazonaws.com/doc/2006-03-01/"><KeyCount>%d</KeyCount>\
<IsTruncated>%s</IsTruncated>%s%s\
</ListBucketResult>"""
OBJECT = """<Contents><Key>%s</Key><LastModified>2024-03-01T00:00:00.000Z</LastModified>\
<ETag>&quot;eb5c1399a871211c7e7ed732d15e3a8b&quot;</ETag><Size>5</Size>\
<StorageClass>STANDARD</StorageClass></Contents>"""
TOKEN = "<NextContinuationToken>%s</NextContinuationToken>"
FOLDER = "<CommonPrefixes><Prefix>%s</Prefix></CommonPrefixes>"

# Bucket -> sorted keys of its objects that are not stored.
PREFILLED: dict[str, list[str]] = {}


def is_exclusive(environ) -> bool:
    """Whether the request must not run at the same time as another exclusive one."""
    if environ["REQUEST_METHOD"] in ("GET", "HEAD"):
        return False
    if any(condition in environ for condition in CONDITIONS):
        return True
    ends_upload = environ["REQUEST_METHOD"] in ("POST", "DELETE")
    return ends_upload and "uploadId=" in environ.get("QUERY_STRING", "")


def gate(app):
    """Wraps `app`, so that exclusive requests run one at a time."""

    def gated(environ, start_response):
        path = environ.get("PATH_INFO", "")
        if path.startswith("/_gate/prefill/"):
            return prefill(path.rsplit("/", 1)[1], environ, start_response)
        if bucket_of(environ) in PREFILLED and "list-type=2" in environ["QUERY_STRING"]:
            return list_prefilled(environ, start_response)
        if not is_exclusive(environ):
            return app(environ, start_response)
        with ONE_AT_A_TIME:
            return list(app(environ, start_response))

    return gated


def bucket_of(environ):
    return environ.get("PATH_INFO", "").strip("/")


def prefill(bucket, environ, start_response):
    """Adds an object to `bucket` for each key of the body."""
    length = int(environ.get("CONTENT_LENGTH") or 0)
    keys = environ["wsgi.input"].read(length).decode().splitlines()
    PREFILLED[bucket] = sorted(keys)
    start_response("200 OK", [("Content-Length", "0")])
    return [b""]


def page_of(keys, prefix, delimiter, after, limit):
    """A page of names and folders (these end with `delimiter`), and whether more follow."""
    page = []
    at = bisect.bisect_left(keys, prefix)
    if after and after >= prefix:
        is_folder = delimiter and after.endswith(delimiter)
        at = bisect.bisect_left(keys, past(after)) if is_folder else bisect.bisect_right(keys, after)
    while at < len(keys) and keys[at].startswith(prefix):
        if len(page) == limit:
            return page, True
        rest = keys[at][len(prefix) :]
        if delimiter and delimiter in rest:
            folder = prefix + rest.split(delimiter)[0] + delimiter
            page.append((folder, True))
            at = bisect.bisect_left(keys, past(folder))
        else:
            page.append((keys[at], False))
            at += 1
    return page, False


def past(folder):
    """The first name that sorts after every name below `folder`."""
    return folder[:-1] + chr(ord(folder[-1]) + 1)


def list_prefilled(environ, start_response):
    """ListObjectsV2 of a prefilled bucket; moto would take 250 ms for each page."""
    query = urllib.parse.parse_qs(environ["QUERY_STRING"])
    ask = lambda name: (query.get(name) or [""])[0]  # noqa: E731
    keys = PREFILLED[bucket_of(environ)]
    after = bytes.fromhex(ask("continuation-token")).decode() or ask("start-after")
    page, more = page_of(keys, ask("prefix"), ask("delimiter"), after, KEYS_PER_PAGE)
    text = "".join(FOLDER % escape(name) if folder else OBJECT % escape(name) for name, folder in page)
    token = TOKEN % page[-1][0].encode().hex() if more else ""
    body = LISTING % (len(page), "true" if more else "false", token, text)
    body = body.encode()
    headers = [("Content-Type", "application/xml"), ("Content-Length", str(len(body)))]
    start_response("200 OK", headers)
    return [body]


def patched_get(stock):
    def get_object(self, bucket_name, key_name, *rest, **named):
        keys = PREFILLED.get(bucket_name, ())
        at = bisect.bisect_left(keys, key_name)
        if at < len(keys) and keys[at] == key_name:
            return small(self, key_name)
        return stock(self, bucket_name, key_name, *rest, **named)

    return get_object


def small(backend, name):
    """An object that is not stored."""
    key = FakeKey(name, SMALL_OBJECT, backend.account_id, backend.region_name)
    key.last_modified = datetime.datetime(2024, 3, 1)
    return key


def known_uploads_only(stock):
    def call(self, bucket_name, multipart_id, *rest, **named):
        if multipart_id not in self.get_bucket(bucket_name).multiparts:
            raise NoSuchUpload(upload_id=multipart_id)
        return stock(self, bucket_name, multipart_id, *rest, **named)

    return call


def patched_upload(stock):
    def start(self, *arguments, **named):
        stock(self, *arguments, **named)
        self.initiated = datetime.datetime.now(datetime.timezone.utc)

    return start


def list_multipart_uploads(self):
    """Like `S3Response.list_multipart_uploads`, but sorted, in pages and with real times."""
    ask = lambda name: (self.querystring.get(name) or [""])[0]  # noqa: E731
    prefix, after = ask("prefix"), (ask("key-marker"), ask("upload-id-marker"))
    uploads = [
        upload
        for upload in list(self.backend.list_multipart_uploads(self.bucket_name).values())
        if upload.key_name.startswith(prefix) and is_after(upload, *after)
    ]
    # AWS sorts the uploads of a key by time.
    uploads.sort(key=lambda upload: (upload.key_name, upload.id))
    limit = min(int(ask("max-uploads") or UPLOADS_PER_PAGE), UPLOADS_PER_PAGE)
    page, more = uploads[:limit], len(uploads) > limit
    result = {
        "Bucket": self.bucket_name,
        "Prefix": prefix,
        "KeyMarker": after[0],
        "UploadIdMarker": after[1],
        "MaxUploads": limit,
        "IsTruncated": more,
        "Uploads": [listed(upload) for upload in page],
    }
    if more:
        result["NextKeyMarker"] = page[-1].key_name
        result["NextUploadIdMarker"] = page[-1].id
    self.data["Action"] = "ListMultipartUploads"
    return self.serialized(ActionResult(result))


def is_after(upload, key, upload_id):
    """Whether `upload` sorts after these markers."""
    if not key:
        return True
    if upload.key_name == key:
        return bool(upload_id) and upload.id > upload_id
    return upload.key_name > key


def listed(upload):
    initiated = upload.initiated.strftime("%Y-%m-%dT%H:%M:%S.000Z")
    return {
        "Key": upload.key_name,
        "UploadId": upload.id,
        "StorageClass": "STANDARD",
        "Initiated": initiated,
    }


def patch():
    FakeMultipart.__init__ = patched_upload(FakeMultipart.__init__)
    S3Response.list_multipart_uploads = list_multipart_uploads
    S3Backend.get_object = patched_get(S3Backend.get_object)
    for name in ("complete_multipart_upload", "upload_part"):
        setattr(S3Backend, name, known_uploads_only(getattr(S3Backend, name)))


def end_with_stdin():
    sys.stdin.buffer.read()
    os._exit(0)


def main():
    patch()
    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    app = gate(DomainDispatcherApplication(create_backend_app))
    listener = socket.create_server(("127.0.0.1", 0), backlog=256)
    port = listener.getsockname()[1]
    server = make_server(
        "127.0.0.1",
        port,
        app,
        threaded=True,
        request_handler=MotoRequestHandler,
        fd=listener.fileno(),
    )
    print(port, flush=True)
    threading.Thread(target=end_with_stdin, daemon=True).start()
    server.serve_forever()


if __name__ == "__main__":
    main()
