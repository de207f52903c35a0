"""Cases 1xx: the package is found, loads, and says truthfully how it is configured and where it leads."""

from __future__ import annotations

from collections.abc import Sequence
from urllib.parse import urlsplit

import attrs

from tickhive.channels import Channel, Subscription, is_symbol
from tickhive.errors import ConfigurationError, PluginError, UnknownExchangeError
from tickhive.plugin.contract import API_VERSION, Dial, Fetch, Limit
from tickhive.plugin.registry import default_registry
from tickhive.plugin.venue import SimulatedVenue, VenueOptions
from tickhive.structuring import structure
from tickhive.testing.case import CaseFailed, NotOffered, case
from tickhive.testing.subject import Subject
from tickhive.testing.wire import REST_URL, URL


@case(
    "TH-101",
    "the exchange is found by its name",
    reason="Users install a package and name the exchange; what is not announced is not there for them.",
    mend="Announce the plugin as an entry point of the group tickhive.exchanges, and install the package once more.",
)
def found_by_name(subject: Subject) -> None:
    """Look it up as an installed package."""
    if subject.plugin is not None:
        raise NotOffered("an installed package: the plugin was handed over as an object")
    found = default_registry().found().get(subject.exchange)
    if found is None:
        others = ", ".join(default_registry().found()) or "none"
        raise CaseFailed(
            f"no installed package announces the exchange {subject.exchange!r} (there are: {others})",
            f'Write [project.entry-points."tickhive.exchanges"] {subject.exchange} = "your_package.plugin" in '
            "pyproject.toml, then install the package again (pip install -e .)",
        )
    if found.status in ("conflict", "blocked"):
        raise CaseFailed(found.reason, found.remedy)


@case(
    "TH-102",
    "it loads and speaks this plugin API",
    reason="A plugin that is refused at load gives its users nothing but a message.",
    mend="Do what the message says: it names the hook, the argument or the version at fault.",
)
def loads(subject: Subject) -> None:
    """Import it, read its hooks, compare API versions."""
    try:
        stack = subject.load()
    except PluginError as error:
        raise CaseFailed(error.cause, error.remedy) from None
    except UnknownExchangeError as error:
        raise CaseFailed(str(error), "See TH-101") from None
    if stack.api_version != API_VERSION:
        raise CaseFailed(
            f"it was written for plugin API {stack.api_version}, this tickhive speaks {API_VERSION}",
            f"Read what changed and set TICKHIVE_API = {API_VERSION}",
        )


@case(
    "TH-103",
    "settings are typed, have defaults and refuse what they do not know",
    reason="A misspelt setting that is silently ignored is found out in production.",
    mend="Answer settings with an attrs class (kw_only, slots) that subclasses ExchangeSettings, each field with a "
    "type and a default.",
)
def typed_settings(subject: Subject) -> None:
    """Make them of nothing, of addresses, and of nonsense."""
    kind, path = subject.stack.settings_type, f"exchanges.{subject.exchange}"

    def make(**values: object) -> object:
        return structure(kind, {**subject.own_settings, **values}, path)

    try:
        make()
    except Exception as error:
        raise CaseFailed(f"settings without any value: {error}", "Give every field a default") from None
    for field in attrs.fields(kind):
        if field.type is None:
            raise CaseFailed(f"the setting {field.name} has no type", f"Annotate {field.name}")
    for name, address in (("url", URL), ("rest_url", REST_URL)):
        try:
            kept = getattr(make(**{name: address}), name)
        except Exception as error:
            raise CaseFailed(
                f"settings do not take {name}: {error}",
                f"Subclass ExchangeSettings, whose {name} replaces the venue's addresses",
            ) from None
        if kept != address:
            raise CaseFailed(f"the setting {name} is {kept!r} after {address!r} was given", f"Keep {name} as it is")
    nonsense: Sequence[tuple[str, object]] = (("no_such_setting", 1), ("url", "no address"), ("url", 5))
    for name, value in nonsense:
        try:
            make(**{name: value})
        except ConfigurationError:
            continue
        except Exception as error:
            raise CaseFailed(
                f"settings refuse {name} = {value!r} with {type(error).__name__}, not with ValueError",
                "Raise ValueError that names the field",
            ) from None
        raise CaseFailed(
            f"settings accept {name} = {value!r}",
            "Use an attrs class with annotated fields, and call super().__attrs_post_init__() in a subclass",
        )


@case(
    "TH-104",
    "url and rest_url lead everywhere",
    reason="Proxies, test networks and simulated venues are reached by these two settings alone.",
    mend="Build every address from settings.url and settings.rest_url where they are set, and append the paths.",
)
def addresses_follow_settings(subject: Subject) -> None:
    """Look at every address the plugin answers."""
    settings, call = subject.local, subject.stack.call
    channels = [Channel("BTC-USDT", "BTC-USDT", each.data_type, each.params) for each in _kinds(subject)]
    for fetch in call.instruments(settings=settings) or ():
        _below(fetch.url, REST_URL, "instruments")
    for channel in channels:
        poll = call.poll(channel=channel, settings=settings)
        if poll is not None:
            _below(poll.fetch.url, REST_URL, "poll")
            continue
        for answer in call.connect(channels=(channel,), settings=settings, credentials=None, dials=()):
            if isinstance(answer, Fetch):
                _below(answer.url, REST_URL, "connect")
                continue
            for url in answer.urls:
                _below(url, URL, "connect")
            if answer.ticket is not None:
                _below(answer.ticket.url, REST_URL, "connect")
            view = subject.view()
            view.dial = answer
            snapshot = call.snapshot(session=view, channel=channel)
            if snapshot is not None:
                _below(snapshot.url, REST_URL, "snapshot")


def _kinds(subject: Subject) -> list[Subscription]:
    found = subject.accepted("BTC-USDT", "BTC-USDT")
    if not found:
        raise NotOffered("a public data type that connect accepts")
    return found


def _below(url: str, base: str, hook: str) -> None:
    if not url.startswith(base):
        name = "url" if base == URL else "rest_url"
        raise CaseFailed(
            f"{hook} answers {url.partition('?')[0]} although {name} is {base}",
            f"Begin every address of {hook} with settings.{name} where it is set",
        )


@case(
    "TH-105",
    "hosts are bare host names, its own among them",
    reason="A recording is handed to the plugin whose hosts it names; a scheme or a path never matches.",
    mend="Answer hosts with lower-case names such as 'ws.acme.example', those of connect and instruments included.",
    hooks=("hosts",),
)
def hosts_are_names(subject: Subject) -> None:
    """Compare them with the addresses it answers by default."""
    hosts = subject.stack.call.hosts()
    for host in hosts:
        if not isinstance(host, str) or not host or "/" in host or host != host.strip() or "." not in host:
            raise CaseFailed(f"hosts names {host!r}", "Answer the host name alone: no scheme, path or spaces")
    settings, known = subject.settings(), {host.lower() for host in hosts}
    urls = [fetch.url for fetch in subject.stack.call.instruments(settings=settings) or ()]
    for each in _kinds(subject)[:1]:
        channel = Channel("BTC-USDT", "BTC-USDT", each.data_type, each.params)
        if subject.stack.call.poll(channel=channel, settings=settings) is None:
            answer = subject.stack.call.connect(channels=(channel,), settings=settings, credentials=None, dials=())
            urls += [url for dial in answer if isinstance(dial, Dial) for url in dial.urls]
    for url in urls:
        parts = urlsplit(url)
        if known.isdisjoint({(parts.hostname or "").lower(), parts.netloc.lower()}):
            raise CaseFailed(
                f"hosts does not name {parts.hostname}, which the plugin itself uses",
                f"Add {parts.hostname!r} to the answer of hosts",
            )


@case(
    "TH-106",
    "limits can be kept",
    reason="The core paces dials, requests and REST by them; a limit of nothing stops everything, none gets users "
    "banned.",
    mend="Answer limits with positive amounts per positive seconds, 'dial' among the scopes, each limit once.",
)
def limits_are_sane(subject: Subject) -> None:
    """Look at each, and at the scopes that fetches are charged to."""
    limits = subject.stack.call.limits(settings=subject.settings())
    seen = set()
    for limit in limits:
        if not isinstance(limit, Limit):
            raise CaseFailed(f"limits answered a {type(limit).__name__}", "Answer a sequence of Limit")
        if not (limit.scope and limit.amount > 0 and limit.seconds > 0):
            raise CaseFailed(f"limits answered {limit}", "Name a scope, a positive amount and positive seconds")
        key = (limit.scope, limit.seconds, limit.per_connection)
        if key in seen:
            raise CaseFailed(f"limits names {limit.scope} per {limit.seconds:g} s twice", "State each limit once")
        seen.add(key)
    scopes = {limit.scope for limit in limits}
    if subject.stack.offers("limits") and "dial" not in scopes:
        raise CaseFailed("limits says nothing of dials", "Add Limit('dial', amount, seconds): sockets opened per time")
    for fetch in subject.stack.call.instruments(settings=subject.settings()) or ():
        for scope in fetch.costs:
            if scope not in scopes:
                raise CaseFailed(
                    f"instruments charges {scope!r}, a scope that limits does not name",
                    f"Add a Limit of the scope {scope!r}, or charge one that is there",
                )


@case(
    "TH-107",
    "the simulated venue says what it shows",
    reason="tickhive demo, tutorials and this suite choose symbols and data types by what the venue says.",
    mend="Answer symbols with normalised names and subscriptions with data types that connect accepts.",
    hooks=("venue",),
)
def venue_describes_itself(subject: Subject) -> None:
    """Read its symbols and subscriptions."""
    try:
        venue = subject.stack.call.venue(options=VenueOptions(symbols=subject.wished))
    except Exception as error:
        raise CaseFailed(
            f"venue raised {type(error).__name__}: {error}", "Answer a SimulatedVenue for any VenueOptions"
        ) from None
    if not isinstance(venue, SimulatedVenue):
        raise CaseFailed(f"venue answered a {type(venue).__name__}", "Answer an instance of a SimulatedVenue")
    if not venue.symbols or not venue.subscriptions:
        raise CaseFailed("the venue names no symbols or no subscriptions", "Answer at least one of each")
    listed = subject.stack.offers("instruments")
    for symbol in venue.symbols:
        if listed and not is_symbol(symbol):
            raise CaseFailed(f"the venue's symbol {symbol!r} is not normalised", "Write it as BTC-USDT, BTC-USDT-PERP")
    for text in venue.subscriptions:
        try:
            Subscription.parse(text)
        except ConfigurationError as error:
            raise CaseFailed(f"the venue's subscriptions: {error}", "Name data types as configurations do") from None
    if not hasattr(venue, "log"):
        raise CaseFailed("the venue has no log", "Set self.log = VenueLog() and count in it what is sent")
