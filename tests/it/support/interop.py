"""Reads a lake with programs that know nothing of trailhound.

usage: interop.py LAKE [VERSION]

Prints one JSON object: for deltalake with pyarrow, and for DuckDB on the same files, the rows of events, their
distinct ids, the days, and the rows by type of identity (a member of a struct). Exits with 77 where a package is
missing.
"""

import json
import sys

try:
    import deltalake
    import duckdb
    import pyarrow.compute
except ImportError as error:
    print(f"{error}; tests/run installs it", file=sys.stderr)
    sys.exit(77)

EVENTS = """
    SELECT count(*), count(DISTINCT eventid), count(DISTINCT event_date) FROM events
"""

TYPES = """
    SELECT coalesce(useridentity.type, ''), count(*) FROM events GROUP BY 1
"""


def with_deltalake(table):
    events = table.to_pyarrow_table(columns=["eventid", "event_date", "useridentity"])
    types = pyarrow.compute.struct_field(events["useridentity"], "type").to_pylist()
    return {
        "rows": events.num_rows,
        "ids": len(set(events["eventid"].to_pylist()) - {None}),
        "days": len(set(events["event_date"].to_pylist())),
        "types": {name or "": types.count(name) for name in set(types)},
    }


def with_duckdb(table):
    connection = duckdb.connect()
    connection.read_parquet(table.file_uris(), hive_partitioning=True).create_view("events")
    rows, ids, days = connection.sql(EVENTS).fetchall()[0]
    return {"rows": rows, "ids": ids, "days": days, "types": dict(connection.sql(TYPES).fetchall())}


def main(lake, version=None):
    table = deltalake.DeltaTable(f"{lake}/events", version=None if version is None else int(version))
    print(json.dumps({"deltalake": with_deltalake(table), "duckdb": with_duckdb(table)}))


if __name__ == "__main__":
    main(*sys.argv[1:])
