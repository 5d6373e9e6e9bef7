"""VPC flow text → OCSF Parquet with PySpark local[2], as a user would write it."""

from pyspark.sql import SparkSession

import columns
import days

TYPES = {"int": "INT", "long": "BIGINT", "text": "STRING"}


def main():
    arguments = days.parser(__doc__).parse_args()
    names = {"start": "start_s", "end": "end_s"}
    schema = ", ".join(f"{names.get(name, name)} {TYPES[kind]}" for name, kind in columns.INPUT)
    spark = (
        SparkSession.builder.master("local[2]")
        .config("spark.driver.memory", "4g")
        .config("spark.sql.session.timeZone", "UTC")
        .config("spark.ui.enabled", "false")
        .config("spark.local.dir", arguments.output + ".scratch")
        .config("spark.sql.parquet.compression.codec", "zstd")
        .config("spark.sql.parquet.outputTimestampType", "TIMESTAMP_MILLIS")
        .getOrCreate()
    )
    spark.sparkContext.setLogLevel("ERROR")
    flows = spark.read.csv(arguments.files, schema=schema, sep=" ", header=True, nullValue="-", enforceSchema=True)
    flows = flows.where(f"start_s >= {arguments.start} AND start_s < {arguments.end}")
    flows = flows.selectExpr("*", "regexp_extract(input_file_name(), '/vpcflowlogs/([^/]+)/', 1) AS region")
    events = flows.selectExpr(
        *(f"{value(node)} AS `{name}`" for name, node in columns.tree().items()),
        "region",
        "account_id AS accountId",
        "date_format(timestamp_seconds(start_s), 'yyyyMMdd') AS eventDay",
    )
    if arguments.ordered:
        events = events.repartition(*columns.PARTITIONS).sortWithinPartitions(*columns.PARTITIONS, "time")
    events.write.partitionBy(*columns.PARTITIONS).parquet(arguments.output)
    spark.stop()


def value(node):
    """The Spark expression of a column or a struct."""
    if isinstance(node, dict):
        return "named_struct(" + ", ".join(f"'{name}', {value(child)}" for name, child in node.items()) + ")"
    kind, expression = node
    if kind == "texts" and expression is None:
        return "CAST(NULL AS ARRAY<STRING>)"
    if kind == "texts":
        return "array(" + ", ".join(f"'{text}'" for text in expression) + ")"
    if kind == "observables":
        items = ", ".join(
            f"named_struct('name', '{name}', 'type', '{caption}', 'type_id', {number}, 'value', {item})"
            for name, caption, number, item in expression
        )
        return f"filter(array({items}), observable -> observable.value IS NOT NULL)"
    if kind == "map":
        if expression is None:
            return "CAST(NULL AS MAP<STRING, STRING>)"
        return "map(" + ", ".join(f"'{key}', CAST({item} AS STRING)" for key, item in expression) + ")"
    if kind == "moment":
        return f"timestamp_millis({expression})"
    return f"CAST({expression.replace('VARCHAR', 'STRING')} AS {TYPES[kind]})"


if __name__ == "__main__":
    main()
