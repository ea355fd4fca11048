"""What a picture of any program tells of its making, in one form."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from pochade.generation.parameters.fields import Recalled, recall_parameters
from pochade.generation.parameters.infotext import joined, read, write
from pochade.generation.parameters.lora_hashes import EMBEDDINGS, LORAS, hashes_of, listed
from pochade.generation.parameters.resources import Resources, taken_out

# Programs that write A1111's text, by how the value of `Version` begins; A1111's own are numbers.
_VERSIONS = {
    r"pochade\b": "Pochade",
    r"f\d|forge|neo|classic": "Forge",
    r"v?\d+\.\d+": "A1111",
    r"Fooocus": "Fooocus",
    r"ComfyUI": "ComfyUI",
    r"SD\.?Next": "SD.Next",
}
_UNKNOWN = "another program"


@dataclass(frozen=True)
class Settings:
    """Prompts and parameters under A1111's names, as `infotext.read` gives them.

    `left_out` says what has no place among them, `fields` are values of a Request that have no name there, and
    `resources` is what was told of the models in JSON.
    """

    program: str = ""
    prompt: str = ""
    negative_prompt: str = ""
    parameters: Mapping[str, str] = field(default_factory=dict)
    left_out: tuple[str, ...] = ()
    fields: Mapping[str, Any] = field(default_factory=dict)
    resources: Resources = field(default_factory=Resources)

    @classmethod
    def of_text(cls, text: str) -> "Settings":
        """What a text block tells. Where it is no text of that form, all of it is the prompt."""
        rest, resources = taken_out(text)
        prompt, negative_prompt, parameters = read(rest)
        return cls(program_of(parameters), prompt, negative_prompt, parameters, resources=resources)

    @property
    def text(self) -> str:
        """The same as A1111's text block."""
        return write(self.prompt, self.negative_prompt, joined(self.parameters))

    @property
    def lora_hashes(self) -> dict[str, str]:
        """The hashes of the LoRAs that tags of the prompt name."""
        return self.resources.loras | hashes_of(self.parameters.get(LORAS, ""))

    @property
    def embedding_hashes(self) -> dict[str, str]:
        """The hashes of the embeddings that words of the prompts name."""
        return self.resources.embeddings | hashes_of(self.parameters.get(EMBEDDINGS, ""))

    def recalled(self) -> Recalled:
        """The Request that this describes, as far as Pochade can follow it."""
        parameters = {**self.resources.files, **self.parameters}
        if self.lora_hashes:
            parameters[LORAS] = listed(self.lora_hashes)
        recalled = recall_parameters(self.prompt, self.negative_prompt, parameters)
        return replace(recalled, request=replace(recalled.request, **self.fields))


def program_of(parameters: Mapping[str, str]) -> str:
    """The program that wrote A1111's text, as far as it says; empty where there are no parameters."""
    if not parameters:
        return ""
    if "App" in parameters:
        return parameters["App"]
    version = parameters.get("Version")
    if version is None:
        return "A1111"  # it told no version before 1.3
    return next((name for start, name in _VERSIONS.items() if re.match(start, version, re.IGNORECASE)), _UNKNOWN)
