"""``driftline migrate``: bring the tables of the configured ClickHouse up to date."""

from operators.clickhouse import Store


def migrate(url: str) -> list[str]:
    """Apply the migrations that are not applied yet to the store at ``url``; returns their names.

    Raises:
        StoreUrlError: the URL is wrong or holds credentials.
        StoreError: ClickHouse cannot be reached or refuses, or its tables are another driftline's.
    """
    with Store.open(url) as store:
        return store.migrate()
