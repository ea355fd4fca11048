"""CLIP's tokenizer as the files that transformers reads, for folders of models."""

import json

from pochade.prompts.tokenizer import WINDOW, merges, vocabulary

_START, _END = "<|startoftext|>", "<|endoftext|>"


def tokenizer_files(pad: str) -> dict[str, str]:
    """Return the texts of the four files by name; `pad` is the token that fills a prompt up."""
    special = {"bos_token": _START, "eos_token": _END, "unk_token": _END, "pad_token": pad}
    settings = {
        "tokenizer_class": "CLIPTokenizer",
        "model_max_length": WINDOW,
        "do_lower_case": True,
        "add_prefix_space": False,
        "errors": "replace",
    }
    return {
        "vocab.json": json.dumps(vocabulary(), ensure_ascii=False),
        "merges.txt": "\n".join(["#version: 0.2", *merges(), ""]),
        "special_tokens_map.json": json.dumps(special, indent=2),
        "tokenizer_config.json": json.dumps(settings | special, indent=2),
    }
