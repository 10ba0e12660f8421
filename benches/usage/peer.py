"""DuckDB beside the report. `load` makes the native table, `report` asks it; each is a process of its own."""

import json
import resource
import sys

import duckdb

act, base, *rest = sys.argv[1:]
if act == "load":
    (trace,) = rest
    connection = duckdb.connect(base)
    connection.execute(
        "create table samples as select vm, to_timestamp(ts)::timestamp as ts, cpu_percent, mem_percent, "
        "net_rx_kbps, net_tx_kbps from read_csv(?, header = true)",
        [trace],
    )
    rows = connection.execute("select count(*) from samples").fetchone()[0]
    connection.close()
    print(json.dumps({"rows": rows}))
else:
    begins, ends, cpu, rate = (float(word) for word in rest)
    connection = duckdb.connect(base, read_only=True)
    connection.execute("set threads = 2")
    found = connection.execute(
        "select vm, quantile_disc(cpu_percent, 0.95) as cpu, quantile_disc(net_rx_kbps, 0.95) * 1024 as received, "
        "quantile_disc(net_tx_kbps, 0.95) * 1024 as sent from samples "
        "where ts > to_timestamp(?)::timestamp and ts <= to_timestamp(?)::timestamp "
        "group by vm having cpu < ? and received < ? and sent < ? order by vm",
        [begins, ends, cpu, rate, rate],
    ).fetchall()
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    print(json.dumps({"idle": [row[0] for row in found], "peak": peak}))
