"""The embedded ClickHouse engine behind ClickHouse's HTTP interface, so that several processes can share it.

A laptop's and a test's stand-in for a ClickHouse server: the same engine, one process, no users, and no more
of the interface than clients such as clickhouse-connect need. Whoever reaches its port has the rights of the
process that runs it, hence loopback; a password can be asked for.
"""
