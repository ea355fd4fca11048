"""How a merge is told to A1111: `sd_merge_recipe` and `sd_merge_models` in the metadata, which web UIs show."""

import json
from collections.abc import Mapping
from typing import Any

from pochade.files import Weights
from pochade.files.hashes import legacy_hash
from pochade.files.metadata import table_in
from pochade.operations.lineage import Hashes, Hashing

RECIPE, MODELS = "sd_merge_recipe", "sd_merge_models"
_ROLES = ("primary", "secondary", "tertiary")


def merge_told(parents: Mapping[str, Weights], options: Mapping[str, Any], hashing: Hashing) -> dict[str, str]:
    """Return the metadata for a merge of `parents`, by role, with these options, and for all ancestors they tell of."""

    def recipe(hashes: Hashes) -> str:
        known = [hashes.get(role) for role in parents]
        named = {f"{name}_model_hash": known[number] for number, name in enumerate(_ROLES[: len(known)])}
        table = {"type": "pochade", **named, "interp_method": options.get("method", "Sum")}
        table |= {"multiplier": options.get("alpha"), "save_as_half": options.get("dtype") == "fp16"}
        return json.dumps(table | {"models": known, "options": dict(options)})

    def ancestors(hashes: Hashes) -> str:
        table: dict[str, Any] = {}
        for role, weights in parents.items():
            table |= table_in(weights.metadata, MODELS)
            if weights.path and role in hashes:
                about = {"name": weights.path.stem, "legacy_hash": legacy_hash(weights.path)}
                table[hashes[role]] = about | {RECIPE: table_in(weights.metadata, RECIPE) or None}
        return json.dumps(table)

    return {RECIPE: hashing.text(recipe), MODELS: hashing.text(ancestors)}
