"""Sketching: the text encoder alone learns to write down what a picture's latents will be, place by place.

Which colour is whose and who stands where is a small part of the error in predicted noise, and a text encoder learns it
from that slowly. Here it is the whole error, and no UNet is needed: minutes take the place of hours.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from pochade.networks import CLIPText, fresh
from pochade.networks.layers import attend
from pochade.prompts import Tokenizer
from pochade.training import chance
from pochade.training.pictures import Pictures

_HEADS = 4


class Sketch(nn.Module):
    """Caption vectors [B, T, width] to latents [B, channels, side, side], every place by one look at all tokens.

    One look is little, so what it asks the tokens for, the text encoder must have written there.
    """

    def __init__(self, width: int, channels: int, side: int) -> None:
        super().__init__()
        self.side = side
        self.place_embedding = nn.Embedding(side * side, width)
        self.query, self.key, self.value, self.out = (nn.Linear(width, width) for _ in range(4))
        self.norm = nn.LayerNorm(width)
        self.widen = nn.Linear(width, 4 * width)
        self.narrow = nn.Linear(4 * width, channels)

    def forward(self, vectors: Tensor) -> Tensor:
        """The expected latents of pictures with these captions."""
        places = self.place_embedding.weight[None].expand(len(vectors), -1, -1)
        looked = places + self.out(attend(self.query(places), self.key(vectors), self.value(vectors), _HEADS))
        latents: Tensor = self.narrow(F.gelu(self.widen(self.norm(looked))))
        return latents.transpose(1, 2).reshape(len(vectors), -1, self.side, self.side)


@dataclass
class SketchTraining:
    """`latents` are the scaled latents of `pictures`, one row each. Only the text encoder is kept afterwards."""

    text_encoder: CLIPText
    latents: Tensor
    pictures: Pictures
    batch: int
    seed: int
    tokenizer: Tokenizer = field(default_factory=Tokenizer)

    def __post_init__(self) -> None:
        _, channels, side, _ = self.latents.shape
        width = self.text_encoder.text_model.embeddings.token_embedding.embedding_dim
        self._reader = fresh(lambda _: Sketch(width, channels, side), {}, self.seed)

    def trainable(self) -> Mapping[str, nn.Parameter]:
        """Every parameter of the text encoder, and those of its reader."""
        self.text_encoder.requires_grad_(True)
        parts = {"text": self.text_encoder, "sketch": self._reader}
        return {f"{part}.{name}": each for part, network in parts.items() for name, each in network.named_parameters()}

    def loss(self, step: int) -> Tensor:
        """Mean squared error of the latents foretold for a batch of captions."""
        places = chance.batch_of(len(self.pictures), self.batch, self.seed, step)
        captions = [
            self.pictures.caption(index, chance.generator(self.seed, "sketch", epoch, index)) for epoch, index in places
        ]
        with torch.autocast("cpu", torch.bfloat16):
            foretold = self._reader(self.text_encoder(self._tokens(captions)))
        return F.mse_loss(foretold.float(), self.latents[[index for _, index in places]].float())

    def validation(self) -> float | None:
        """None: captions of a world are too many to be learnt by heart in a short training."""
        return None

    def _tokens(self, captions: list[str]) -> Tensor:
        """Token ids up to the end of the longest caption; what follows an end changes nothing before it."""
        tokens = torch.tensor([self.tokenizer.padded(caption) for caption in captions])
        longest = int((tokens != tokens[:, -1:]).sum(1).max()) + 1
        return tokens[:, :longest]
