"""Settings of a session: from its file, a .env file and the environment, by one schema.

Precedence, highest first: the environment, the .env file of the working directory, the session's file, the defaults. A variable is named
HFTLAB_SECTION__NAME after the entry `name` of a `section` (HFTLAB_LIMITS__LOSS_QUOTE_MAX=50, HFTLAB_ALERTS__QUIET_S=60); its value is read
as JSON where it is JSON, and as text else; an empty one counts as not set. With several instruments a variable holds for each of them.

A name that nobody reads is refused, in the file and among the variables: a limit that is misspelt is a limit that is not there.
Secrets come from the environment or .env only, and are held as SecretStr.
"""

import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

from dotenv import dotenv_values
from pydantic import BaseModel, ConfigDict, Field, SecretStr, ValidationError, field_validator
from pydantic_settings import BaseSettings, NoDecode, PydanticBaseSettingsSource, SettingsConfigDict, SettingsError

from hftlab.config_names import PREFIX, check_names, variable
from hftlab.errors import FormatError, InputError, UnknownName, did_you_mean
from hftlab.secret import remember_address

EACH = "each"  # under this name the entries of a list travel, so that a variable can be laid over each of them
Positive = Annotated[float, Field(gt=0)]


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)


class PaceSection(_Section):
    """How often a session ticks, samples and closes a bar."""

    timer_ms: Positive = 100.0
    sample_ms: Positive = 250.0
    bar_s: Positive = 10.0


class AlertsSection(_Section):
    """What is worth an alert, and how often. Without HFTLAB_ALERT_URLS alerts go to alerts.jsonl and the screens only."""

    on: bool = True
    kinds: tuple[Literal["risk", "latency", "connectivity", "health", "fills"], ...] = ("risk", "latency", "connectivity", "health")
    level: Literal["info", "warn", "error"] = "warn"  # the lowest that is sent to the channels; all are written down
    quiet_s: Annotated[float, Field(ge=0)] = 300.0  # one key is not sent again within it, unless it became worse
    per_min_max: Annotated[int, Field(ge=1)] = 20  # for all keys together; what comes on top is counted and told in one message
    limit_share: Annotated[float, Field(gt=0, le=1)] = 0.8  # of any limit
    feed_stale_s: Positive = 10.0
    feed_lag_ms_max: Positive = 1000.0
    loop_gap_ms_max: Positive = 250.0
    unknown_s_max: Positive = 10.0  # an order whose fate the venue has not told
    clock_offset_ms_max: Positive = 250.0
    silent_s: Positive = 5.0  # the engine lives and publishes nothing
    disk_gb_min: Annotated[float, Field(ge=0)] = 1.0


class DoorSection(_Section):
    """The control door. It listens on the loopback address only; port 0 takes any free one."""

    port: Annotated[int, Field(ge=0, le=65535)] = 0


class LogSection(_Section):
    """The log of the engine, log.jsonl: when it is begun anew, how many old ones are kept, and what is said how often."""

    level: Literal["debug", "info", "warn", "error"] = "info"
    file_mb_max: Annotated[float, Field(ge=0.01)] = 16.0
    files_max: Annotated[int, Field(ge=1, le=100)] = 4
    repeat_s: Annotated[float, Field(ge=0)] = 10.0  # the same words within it are counted, not written


KEPT = ("alerts", "door", "log")  # what the engine process reads again from its run directory


class Settings(BaseSettings):
    """A session as it was asked for. `feed`, `venue`, `quoter` and `limits` are checked by what is made of them."""

    model_config = SettingsConfigDict(
        env_prefix=PREFIX,
        env_nested_delimiter="__",
        env_ignore_empty=True,
        env_file_encoding="utf-8",
        extra="ignore",  # of the variables: check_names has refused every wrong one by then, also those of the environment
        hide_input_in_errors=True,
        frozen=True,
    )

    mode: str = ""
    confirm: str = ""
    run: str | None = None
    feed: dict = Field(default_factory=dict)
    venue: dict = Field(default_factory=dict)
    quoter: dict = Field(default_factory=dict)
    limits: dict = Field(default_factory=dict)
    pace: PaceSection = PaceSection()
    alerts: AlertsSection = AlertsSection()
    door: DoorSection = DoorSection()
    log: LogSection = LogSection()
    alert_urls: Annotated[tuple[SecretStr, ...], NoDecode] = ()

    @field_validator("alert_urls", mode="before")
    @classmethod
    def _split(cls, value: Any) -> Any:
        """Take addresses apart at white space: the one thing that no address holds."""
        return value.split() if isinstance(value, str) else value

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],  # noqa: ARG003  # the signature is the base class's
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,  # noqa: ARG003  # the same
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Put what is passed, the values of the session's file, last."""
        return env_settings, dotenv_settings, init_settings

    def model_post_init(self, context: Any, /) -> None:
        """Have the channels' addresses kept out of every log of this process."""
        for address in self.alert_urls:
            remember_address(address)

    def kept(self) -> dict[str, Any]:
        """Return the sections that the run directory keeps, as plain values; nothing secret is among them."""
        return {name: getattr(self, name).model_dump(mode="json", exclude_unset=True) for name in KEPT}


SECTIONS: dict[str, type[_Section]] = {"pace": PaceSection, "alerts": AlertsSection, "door": DoorSection, "log": LogSection}
ENTRIES = tuple(name for name in Settings.model_fields if name != "alert_urls")  # of a session's file


def load(
    values: Mapping[str, Any] | None = None,
    *,
    env_file: str | Path | None = ".env",
    known: Mapping[str, Iterable[str]] | None = None,
    source: str = "the session",
) -> Settings:
    """Return the settings: `values` (of a file) under the .env file under the environment.

    `known` are the entries of the sections that are checked elsewhere. `source` names the file in errors. Raises UnknownName for a name
    that nobody reads, InputError for a value that cannot be used; no message shows a value of a variable.
    """
    values = dict(values or {})
    _check_entries(values, source)
    file = Path(env_file) if env_file is not None and Path(env_file).is_file() else None
    in_file = dotenv_values(file, encoding="utf-8") if file is not None else {}
    fields = {name: tuple(section.model_fields) for name, section in SECTIONS.items()} | dict(known or {})
    check_names(os.environ, "the environment", fields)
    check_names(in_file, str(file), fields)
    for name in ("quoter", "limits"):
        if isinstance(values.get(name), list):
            values[name] = {EACH: values[name]}
    try:
        return Settings(_env_file=file, **{name: value for name, value in values.items() if value is not None})  # type: ignore[call-arg] # pydantic-settings takes the file at run time
    except ValidationError as error:
        raise _said(error, source) from None
    except SettingsError as error:
        # Its cause holds the text of the variable.
        raise InputError(f"{error}; wanted JSON, or one variable an entry such as {variable('limits', 'loss_quote_max')}=50.") from None


def each(section: Mapping[str, Any]) -> list[dict[str, Any]] | dict[str, Any]:
    """Return a section as it was given, a list or one mapping, with what variables say laid over each entry."""
    common = {name: value for name, value in section.items() if name != EACH}
    return [dict(one) | common for one in section[EACH]] if EACH in section else common


def _check_entries(values: Mapping[str, Any], source: str) -> None:
    for name in values:
        if name == "alert_urls":
            raise InputError(
                f"alert_urls stands in {source}; the address of a channel holds its password. Put it into {PREFIX}ALERT_URLS in .env."
            )
        if name not in ENTRIES:
            other = {"data": "feed", "strategies": "quoter", "strategy": "quoter", "execution": "venue", "risk": "limits"}.get(str(name))
            raise UnknownName(f"{source}: no entry {name!r}.{f' Here it is {other!r}.' if other else did_you_mean(str(name), ENTRIES)}")
    for name in ("feed", "venue", *SECTIONS):
        if not isinstance(values.get(name) or {}, Mapping):
            raise FormatError(f"{source}: {name} was {type(values[name]).__name__}; wanted entries under it, `name: value`.")
    for name in ("quoter", "limits"):
        entries = values.get(name) or {}
        if not all(isinstance(one, Mapping) for one in (entries if isinstance(entries, list) else [entries])):
            raise FormatError(f"{source}: {name} was {type(entries).__name__}; wanted entries under it, `name: value`, or a list of such.")


def _said(error: ValidationError, source: str) -> InputError:
    """Return the first thing that is wrong, in our words and without the value."""
    first = error.errors(include_url=False, include_context=False, include_input=False)[0]
    path = [str(part) for part in first["loc"]]
    where = f"{source}: {'.'.join(path)}"
    if first["type"] == "extra_forbidden":
        return UnknownName(f"{source}: {path[0]} has no entry {path[1]!r}.{did_you_mean(path[1], SECTIONS[path[0]].model_fields)}")
    return InputError(f"{where} (or {variable(*path[:2])}) cannot be used: {first['msg']}.")
