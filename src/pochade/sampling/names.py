"""Finding samplers and schedules by the names people use, old combined names such as "DPM++ 2M Karras" included."""

from typing import NamedTuple

from pochade.errors import UnknownNameError
from pochade.sampling.samplers.registry import SAMPLERS, Sampler
from pochade.sampling.schedules import AUTOMATIC, SCHEDULES, Schedule


class Choice(NamedTuple):
    """A sampler with a schedule. An automatic schedule means the sampler's own default."""

    sampler: Sampler
    schedule: Schedule

    @property
    def effective(self) -> Schedule:
        """The schedule that really runs; stays automatic for samplers without a default."""
        if self.schedule is not AUTOMATIC or self.sampler.schedule is None:
            return self.schedule
        return find_schedule(self.sampler.schedule)

    @property
    def collapsed(self) -> "Choice":
        """With a schedule that is the sampler's default written as automatic, as the webui's API does."""
        return Choice(self.sampler, AUTOMATIC) if self.sampler.schedule == self.schedule.name else self


_SAMPLERS = {name.casefold(): each for each in SAMPLERS for name in (*each.aliases, each.label)}
_SCHEDULES = {name.casefold(): each for each in SCHEDULES for name in each.names}


def find_sampler(name: str) -> Sampler:
    """By label or alias, in any case; an unknown name raises with the nearest known ones."""
    found = _SAMPLERS.get(name.casefold())
    if found is None:
        raise UnknownNameError("sampler", name, [each.label for each in SAMPLERS])
    return found


def find_schedule(name: str | None) -> Schedule:
    """By name, label or alias, in any case; nothing means automatic, an unknown name raises."""
    found = _SCHEDULES.get((name or AUTOMATIC.name).casefold())
    if found is None:
        raise UnknownNameError("schedule", name or "", [each.label for each in SCHEDULES])
    return found


def choose(sampler: str | None = None, schedule: str | None = None) -> Choice:
    """The sampler and schedule meant. A schedule at the end of the sampler's name wins over the one given apart."""
    given = find_schedule(schedule)
    name = sampler or SAMPLERS[0].label
    if name.casefold() in _SAMPLERS:
        return Choice(_SAMPLERS[name.casefold()], given)
    for ending in sorted(_SCHEDULES, key=len, reverse=True):
        head = name[: -len(ending) - 1].casefold()
        if name.casefold() == f"{head} {ending}" and head in _SAMPLERS:
            return Choice(_SAMPLERS[head], _SCHEDULES[ending])
    return Choice(find_sampler(name), given)


def choose_leniently(sampler: str | None = None, schedule: str | None = None) -> Choice:
    """As the webui does it: names are case-sensitive, and unknown ones silently become the first of their list."""
    samplers = {each.label: each for each in SAMPLERS}
    schedules = {name: each for each in SCHEDULES for name in (each.name, each.label)}
    found = schedules.get(schedule or "", AUTOMATIC)
    name = sampler or SAMPLERS[0].label
    for each in SCHEDULES:
        ending = next((f" {known}" for known in each.names if name.endswith(f" {known}")), None)
        if ending:
            found, name = each, name.removesuffix(ending)
    return Choice(samplers.get(name, SAMPLERS[0]), found)
