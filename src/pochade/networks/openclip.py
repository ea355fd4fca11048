"""OpenCLIP's text encoder (Cherti et al. 2022, arXiv:2212.07143), named as in SD 2 and SDXL below its prefix."""

import torch
from torch import Tensor, nn

from pochade.networks.layers import embedding_of, layer_norm_of, parameter_of
from pochade.networks.resblocks import Transformer
from pochade.networks.shapes import Shape, Shapes, joined, linear, norm, within


class OpenCLIPText(nn.Module):
    """Token ids to one vector per token, and to one for the whole text; `shapes` as in `openclip_shapes`.

    `head_width` is the width of one attention head. Of the layers only the first `layers` are built: SD 2's files hold
    one more than anybody uses.
    """

    def __init__(self, shapes: Shapes, head_width: int = 64, layers: int | None = None) -> None:
        super().__init__()
        self.token_embedding = embedding_of(shapes, "token_embedding")
        self.positional_embedding = parameter_of(shapes, "positional_embedding")
        heads = max(1, shapes["ln_final.weight"][0] // head_width)
        self.transformer = Transformer(within(shapes, "transformer."), heads, layers, causal=True)
        self.ln_final = layer_norm_of(shapes, "ln_final")
        self.text_projection = parameter_of(shapes, "text_projection") if "text_projection" in shapes else None

    def forward(self, tokens: Tensor, skip: int = 1, norm: bool = True) -> Tensor:
        """Tokens [B, 77] to vectors [B, 77, D]; see `encode`."""
        return self.encode(self.embed(tokens), skip, norm)

    def embed(self, tokens: Tensor) -> Tensor:
        """Vectors of the tokens [B, 77, D] without positions: the place where textual inversion puts its own."""
        vectors: Tensor = self.token_embedding(tokens)
        return vectors

    def encode(self, vectors: Tensor, skip: int = 1, norm: bool = True) -> Tensor:
        """Token vectors [B, 77, D] through the encoder.

        `skip` counts the layers from the end: 1 is the last one, 2 the one before; `norm` applies the final layer norm.
        """
        x = self._through(vectors, skip)
        return self.ln_final(x) if norm else x

    def encode_pooled(self, vectors: Tensor, ends: Tensor, skip: int = 1, norm: bool = True) -> tuple[Tensor, Tensor]:
        """The same as `encode`, and each text as one vector [B, P].

        That is what the last layer gives at the text's end, the place `ends` [B], normed and projected.
        Raises ValueError for an encoder without projection.
        """
        if self.text_projection is None:
            raise ValueError("this text encoder has no text_projection")
        x = last = self._through(vectors, skip)
        for block in self.transformer.resblocks[self.depth + 1 - skip :]:
            last = block(last)
        rows = torch.arange(len(last), device=last.device)
        pooled: Tensor = self.ln_final(last[rows, ends]) @ self.text_projection
        return self.ln_final(x) if norm else x, pooled

    @property
    def depth(self) -> int:
        """Number of layers, the largest `skip` that leaves one."""
        return len(self.transformer.resblocks)

    @property
    def width(self) -> int:
        """How many numbers a token's vector has."""
        return self.token_embedding.embedding_dim

    def _through(self, vectors: Tensor, skip: int) -> Tensor:
        x = vectors + self.positional_embedding[: vectors.shape[1]]
        for block in self.transformer.resblocks[: self.depth + 1 - skip]:
            x = block(x)
        return x


def openclip_shapes(width: int, layers: int, vocabulary: int = 49408, positions: int = 77) -> dict[str, Shape]:
    """Names and shapes of an OpenCLIP text encoder."""
    parts: list[dict[str, Shape]] = [
        {
            "token_embedding.weight": (vocabulary, width),
            "positional_embedding": (positions, width),
            "text_projection": (width, width),
        },
        norm("ln_final", width),
    ]
    for index in range(layers):
        name = f"transformer.resblocks.{index}"
        packed: dict[str, Shape] = {
            f"{name}.attn.in_proj_weight": (3 * width, width),
            f"{name}.attn.in_proj_bias": (3 * width,),
        }
        parts += [packed, linear(f"{name}.attn.out_proj", width, width)]
        parts += [norm(f"{name}.ln_{each}", width) for each in (1, 2)]
        parts += [linear(f"{name}.mlp.c_fc", width, 4 * width), linear(f"{name}.mlp.c_proj", 4 * width, width)]
    return joined(parts)
