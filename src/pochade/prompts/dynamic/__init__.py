"""Dynamic prompts: templates that hold choices, as the extension sd-dynamic-prompts reads them.

A template is read by `grammar.read`, and `choosing.by_lot` or `choosing.every` write out what is chosen; the values of
wildcards come from `wildcards.Wildcards`.
"""

from pochade.prompts.dynamic.choosing import by_lot, every
from pochade.prompts.dynamic.wildcards import Wildcards, folders_of_wildcards

__all__ = ["Wildcards", "by_lot", "every", "folders_of_wildcards"]
