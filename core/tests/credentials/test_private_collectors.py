"""Collectors of an account's data: who needs one, whose events are whose, and what wrong credentials do."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest

from tickhive.channels import EVERY, Channel, DataType
from tickhive.collector.access import shared_access
from tickhive.collector.plugin_collector import PluginCollector
from tickhive.collector.telemetry import CollectorStatus
from tickhive.credentials import CredentialSource
from tickhive.errors import CollectorError, ConfigurationError, CredentialsError
from tickhive.events import MarketEvent, SubscriptionUpdate
from tickhive.exchanges import ExchangeCollectorConfig, ExchangeFactory
from tickhive.manager import CollectorManager, RestartPolicy
from tickhive.plugin.contract import Credentials, ExchangeSettings
from tickhive.plugin.registry import PluginRegistry
from tickhive.plugin.stack import ExchangeStack
from tickhive.service import CollectorFactory, ServiceConfig

GOOD = Credentials("main", "Kx81-main-key-9", "tH3-s3cr3t/of+main==", "pass phrase: of main")
BAD = Credentials("main", GOOD.key, "wr0ng/s3cr3t+of main", GOOD.passphrase)

Make = Callable[..., PluginCollector]


@pytest.fixture
async def make(vault: Any, stack: ExchangeStack) -> AsyncIterator[Make]:
    made: list[PluginCollector] = []

    def make(*data_types: str, credentials: CredentialSource | None, **options: Any) -> PluginCollector:
        options.setdefault("account", "main")
        config = ExchangeCollectorConfig(exchange="vault", data_types=data_types, **options)
        settings = ExchangeSettings(**vault.settings)
        collector = PluginCollector(stack, config, settings, credentials=credentials)
        made.append(collector)
        return collector

    yield make
    for collector in made:
        await collector.stop()


def kinds(seen: list[MarketEvent]) -> set[str]:
    return {type(event).__name__ for event in seen if not isinstance(event, SubscriptionUpdate)}


async def test_an_accounts_data_comes_with_its_name(make: Make, until: Any) -> None:
    collector = make("order", "balance", "trade", symbols=["A-B"], credentials=GOOD)
    assert collector.name == "vault:A-B@main"
    seen: list[MarketEvent] = []
    collector.add_data_callback(None, seen.append)
    await collector.start()
    await until(lambda: kinds(seen) == {"Order", "Balance", "Trade"})
    assert {event.account for event in seen if type(event).__name__ in ("Order", "Balance")} == {"main"}  # type: ignore[union-attr]
    assert collector.get_health_status()["healthy"]


async def test_no_symbols_are_needed_for_an_account_alone(make: Make, vault: Any, until: Any) -> None:
    collector = make("order", "balance", credentials=lambda: GOOD)
    assert collector.name == "vault@main"
    assert collector.channels() == (
        Channel(EVERY, EVERY, DataType.ORDER),
        Channel(EVERY, EVERY, DataType.BALANCE),
    )
    await collector.start()
    await until(lambda: collector.event_counts().get("Order") and collector.event_counts().get("Balance"))
    assert {each["state"] for each in collector.get_status()["connections"]} == {"open"}


async def test_wrong_credentials_end_the_collector_and_mending_them_with_a_restart_helps(
    make: Make, vault: Any, until: Any
) -> None:
    now = [BAD]
    collector = make("order", credentials=lambda: now[0])
    await collector.start()
    await until(lambda: collector.status is CollectorStatus.ERROR)
    reason = collector.get_status()["reason"]
    assert "account 'main': the venue refused the credentials (bad login" in reason
    health = collector.get_health_status()
    assert (health["healthy"], health["needs_operator"]) == (False, True)
    assert vault.logins == [BAD.key]
    for text in (json.dumps(collector.get_status()), json.dumps(health), repr(collector), str(vars(collector))):
        assert BAD.secret not in text
    assert BAD.key not in json.dumps(collector.get_status())
    with_wrong = collector.get_status()["restarts"]
    now[0] = GOOD
    await collector.restart()
    await until(lambda: collector.event_counts().get("Order"))
    assert (collector.status, collector.get_status()["restarts"]) == (CollectorStatus.RUNNING, with_wrong + 1)
    assert collector.get_health_status()["healthy"]
    assert len(vault.logins) == 2


async def test_public_data_goes_on_beside_a_refused_login(make: Make, vault: Any, until: Any) -> None:
    collector = make("order", "balance", "trade", symbols=["A-B"], credentials=BAD)
    await collector.start()
    await until(lambda: len(collector.get_health_status()["reasons"]) == 2 and collector.event_counts().get("Trade"))
    before = collector.event_counts()["Trade"]
    await until(lambda: collector.event_counts()["Trade"] > before + 3)
    health = collector.get_health_status()
    assert collector.status is CollectorStatus.RUNNING
    assert health["needs_operator"]
    assert "connection private gave up" in health["reasons"][0]
    assert "balance * is not asked for any more" in health["reasons"][1]
    assert (len(vault.logins), len(vault.signed)) == (1, 1)
    states = {each["key"]: each["state"] for each in collector.get_status()["connections"]}
    assert states == {"public": "open", "private": "failed"}


async def test_the_manager_leaves_refused_credentials_to_an_operator(make: Make, vault: Any, until: Any) -> None:
    policy = RestartPolicy(check_seconds=0.02, patience_seconds=0.05, first_wait_seconds=0.01, stagger_seconds=0.01)
    manager = CollectorManager(policy=policy)
    dead = make("order", credentials=BAD)
    half = make("order", "trade", symbols=["A-B"], credentials=BAD)
    well = make("order", credentials=GOOD, name="well")
    for collector in (dead, half, well):
        manager.add_collector(collector)
    await manager.start_all()
    try:
        await until(lambda: dead.status is CollectorStatus.ERROR and half.get_health_status()["needs_operator"])
        done = well.event_counts().get("Order", 0)
        # Ten health checks of 20 ms, counted by what the venue sends every 20 ms.
        await until(lambda: well.event_counts().get("Order", 0) >= done + 10)
        entries = manager.get_status()["collectors"]
        assert (dead.get_status()["restarts"], half.get_status()["restarts"]) == (0, 0)
        assert well.get_health_status()["healthy"]
        await until(lambda: manager.get_status()["collectors"]["vault@main"]["needs_operator"], 5)
        entries = manager.get_status()["collectors"]
        assert (entries["vault:A-B@main"]["needs_operator"], entries["well"]["needs_operator"]) == (True, False)
        assert len(vault.logins) == 3
    finally:
        await manager.stop_all()


async def test_secrets_that_cannot_be_had_end_the_start(make: Make, vault: Any) -> None:
    def nowhere() -> Credentials:
        raise ConfigurationError("accounts.main: the environment variable X, which is to hold the key, is not set")

    collector = make("order", credentials=nowhere)
    with pytest.raises(CollectorError, match="environment variable X"):
        await collector.start()
    assert collector.status is CollectorStatus.ERROR
    assert collector.get_health_status()["needs_operator"]
    assert vault.logins == []


async def test_a_login_without_credentials_says_what_to_do(make: Make, vault: Any) -> None:
    collector = make("order", credentials=None)
    with pytest.raises(CollectorError, match="Name an account and its credentials") as caught:
        await collector.start()
    assert isinstance(caught.value.__cause__, CredentialsError)
    assert collector.status is CollectorStatus.ERROR
    assert vault.logins == []


async def test_accounts_share_the_limits_and_never_the_signature(stack: ExchangeStack, vault: Any) -> None:
    from tickhive.clock import SystemClock

    settings, clock = ExchangeSettings(**vault.settings), SystemClock()
    public, main, again, other = (
        shared_access(stack, settings, clock, credentials=each)
        for each in (None, GOOD, Credentials(GOOD.account, GOOD.key, GOOD.secret, GOOD.passphrase), BAD)
    )
    assert main is again
    assert len({id(each) for each in (public, main, other)}) == 3
    assert main.budget is other.budget is public.budget
    assert main.instruments is other.instruments is public.instruments
    assert (public.credentials, main.credentials, other.credentials) == (None, GOOD, BAD)
    for secret in (GOOD.secret, BAD.secret, GOOD.key):
        assert secret not in repr(vars(main)) + repr(vars(other))


# Configuration


def config(**changes: Any) -> ExchangeCollectorConfig:
    return ExchangeCollectorConfig(**{"exchange": "vault", "data_types": ["order"], "account": "main", **changes})


def test_private_data_needs_an_account_and_public_data_a_symbol() -> None:
    with pytest.raises(ConfigurationError, match=r"account: order, balance belong to an account; name it here"):
        config(data_types=["order", "trade", "balance"], symbol="A-B", account=None)
    with pytest.raises(ConfigurationError, match="symbols: expected at least one symbol"):
        config(data_types=["order", "trade"])
    with pytest.raises(ConfigurationError, match="account: expected the name"):
        config(account=" ")
    assert config(data_types=["trade"], symbol="A-B").account == "main"


@pytest.fixture
def factory(stack: ExchangeStack, monkeypatch: pytest.MonkeyPatch) -> type[ExchangeFactory]:
    monkeypatch.setattr(ExchangeFactory, "registry", PluginRegistry())
    monkeypatch.setattr(ExchangeFactory, "_classes", {})
    from tickhive.plugin.hookspecs import hookimpl

    class Plain:
        @hookimpl
        def connect(self) -> Any:
            return ()

        @hookimpl
        def parse(self) -> Any:
            return ()

    ExchangeFactory.register("vault", Plain())
    return ExchangeFactory


def test_the_factory_wants_the_credentials_of_the_account_that_is_named(factory: type[ExchangeFactory]) -> None:
    for given, words in ((None, "nothing says where the credentials of 'main' are"), (Credentials("x"), "of 'x'")):
        with pytest.raises(ConfigurationError, match=words):
            factory.create_collector(config(), credentials=given)
    with pytest.raises(ConfigurationError, match="no account is named"):
        factory.create_collector(config(account=None, data_types=["trade"], symbol="A-B"), credentials=GOOD)
    made = factory.create_collector(config(), credentials=GOOD)
    assert GOOD.secret not in repr(made) + repr(made.config) + json.dumps(made.get_status())
    several = factory.create_multiple_collectors([config(), config(name="two")], credentials={"main": lambda: GOOD})
    assert [each.name for each in several] == ["vault@main", "two"]
    with pytest.raises(ConfigurationError, match=r"configs\[0\] \(vault@main\): account: nothing says"):
        factory.create_multiple_collectors([config()])


TABLES: dict[str, Any] = {
    "accounts": {"main": {"exchange": "vault", "key_env": "VAULT_KEY", "secret_env": "VAULT_SECRET"}},
    "collectors": [{"exchange": "vault", "data_types": ["order"], "account": "main"}],
}


def test_a_service_looks_its_accounts_up(factory: type[ExchangeFactory], monkeypatch: pytest.MonkeyPatch) -> None:
    [made], refused = CollectorFactory(ServiceConfig.from_tables(TABLES)).create_all()
    assert refused == []
    assert callable(made._credentials)
    monkeypatch.setenv("VAULT_KEY", GOOD.key)
    monkeypatch.setenv("VAULT_SECRET", GOOD.secret)
    assert made._credentials() == Credentials("main", GOOD.key, GOOD.secret)
    monkeypatch.setenv("VAULT_SECRET", "mended since")
    assert made._credentials().secret == "mended since"


@pytest.mark.parametrize(
    ("accounts", "problem"),
    [
        ({}, "collectors[0].account: there is no account 'main'; add an [accounts.main] table"),
        (
            {"mian": TABLES["accounts"]["main"]},
            "collectors[0].account: there is no account 'main'; did you mean 'mian'?",
        ),
        (
            {"main": {**TABLES["accounts"]["main"], "exchange": "acme"}},
            "collectors[0].account: 'main' is an account at 'acme', this collector is for 'vault'",
        ),
        ({"main": {"exchange": "vault"}}, "accounts.main: nothing says where the key comes from"),
        ([], "accounts: expected tables such as [accounts.NAME], got a list"),
    ],
)
def test_accounts_that_do_not_fit_are_refused(accounts: Any, problem: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        ServiceConfig.from_tables({**TABLES, "accounts": accounts})
    assert any(each.startswith(problem) for each in caught.value.problems), caught.value.problems
