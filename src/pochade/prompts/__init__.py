"""A1111's prompt language, from the text a person writes to windows of 77 weighted token ids.

A prompt goes through `extra_networks.extract`, `composition.split`, `schedule.schedule` and `chunks.chunk`, in this
order; `emphasis.apply` then weighs what the text encoder made of the windows.
"""

from pochade.prompts.chunks import Chunk, Slot, chunk, token_count
from pochade.prompts.emphasis import Emphasis
from pochade.prompts.tokenizer import Tokenizer, tokenize

__all__ = ["Chunk", "Emphasis", "Slot", "Tokenizer", "chunk", "token_count", "tokenize"]
