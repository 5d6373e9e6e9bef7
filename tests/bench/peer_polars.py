"""VPC flow text → OCSF Parquet with Polars' streaming engine, as a user would write it."""

import polars as pl

import columns
import days

TYPES = {"int": pl.Int32, "long": pl.Int64, "text": pl.String}


def main():
    arguments = days.parser(__doc__).parse_args()
    names = {"start": "start_s", "end": "end_s"}
    schema = {names.get(name, name): TYPES[kind] for name, kind in columns.INPUT}
    # The header is skipped, since its names are not SQL names.
    flows = pl.scan_csv(
        arguments.files, separator=" ", has_header=False, skip_rows=1, schema=schema, null_values="-", include_file_paths="path",
    )
    flows = flows.filter((pl.col("start_s") >= arguments.start) & (pl.col("start_s") < arguments.end))
    flows = flows.with_columns(region=pl.col("path").str.extract("/vpcflowlogs/([^/]+)/"))
    events = flows.select(
        *(value(node).alias(name) for name, node in columns.tree().items()),
        pl.col("region"),
        pl.col("account_id").alias("accountId"),
        pl.from_epoch("start_s", time_unit="s").dt.strftime("%Y%m%d").alias("eventDay"),
    )
    if arguments.ordered:
        events = events.sort("region", "accountId", "eventDay", "time")
    target = pl.PartitionBy(arguments.output, key=columns.PARTITIONS, include_key=False)
    events.sink_parquet(target, compression="zstd", mkdir=True)


def value(node):
    """The Polars expression of a column or a struct."""
    if isinstance(node, dict):
        return pl.struct(*(value(child).alias(name) for name, child in node.items()))
    kind, expression = node
    if kind == "texts" and expression is None:
        return pl.lit(None, dtype=pl.List(pl.String))
    if kind == "texts":
        return pl.lit(pl.Series([expression], dtype=pl.List(pl.String))).first()
    if kind == "observables":
        items = [
            pl.when(pl.col(item).is_not_null()).then(pl.struct(
                pl.lit(name).alias("name"), pl.lit(caption).alias("type"),
                pl.lit(number, dtype=pl.Int32).alias("type_id"), pl.col(item).alias("value"),
            ))
            for name, caption, number, item in expression
        ]
        return pl.concat_list(items).list.drop_nulls()
    if kind == "map":
        pair = pl.Struct({"key": pl.String, "value": pl.String})
        if expression is None:
            return pl.lit(None, dtype=pl.List(pair))
        return pl.concat_list([
            pl.struct(pl.lit(key).alias("key"), pl.sql_expr(item).cast(pl.String).alias("value")) for key, item in expression
        ])
    if kind == "moment":
        return pl.from_epoch(pl.sql_expr(expression), time_unit="ms").cast(pl.Datetime("ms"))
    return pl.sql_expr(expression).cast(TYPES[kind])


if __name__ == "__main__":
    main()
