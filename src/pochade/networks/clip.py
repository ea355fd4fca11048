"""The CLIP text encoder (Radford et al. 2021, arXiv:2103.00020), named as in SD 1 below its prefix."""

from torch import Tensor, nn

from pochade.networks.layers import FeedForward, attend, embedding_of, layer_norm_of, linear_of, quick_gelu
from pochade.networks.shapes import Shape, Shapes, children, joined, linear, norm, within


class CLIPText(nn.Module):
    """Token ids to one vector per token; `shapes` as in `clip_shapes`.

    `head_width` is the width of one attention head. Of the layers only the first `layers` are built.
    """

    def __init__(self, shapes: Shapes, head_width: int = 64, layers: int | None = None) -> None:
        super().__init__()
        self.text_model = TextModel(within(shapes, "text_model."), head_width, layers)

    def forward(self, tokens: Tensor, skip: int = 1, norm: bool = True) -> Tensor:
        """Tokens [B, 77] to vectors [B, 77, D]; see `encode`."""
        return self.encode(self.embed(tokens), skip, norm)

    def embed(self, tokens: Tensor) -> Tensor:
        """Vectors of the tokens [B, 77, D] without positions: the place where textual inversion puts its own."""
        vectors: Tensor = self.text_model.embeddings.token_embedding(tokens)
        return vectors

    def encode(self, vectors: Tensor, skip: int = 1, norm: bool = True) -> Tensor:
        """Token vectors [B, 77, D] through the encoder.

        `skip` counts the layers from the end as A1111's clip skip does: 1 is the last one, 2 the one before; `norm`
        applies the final layer norm.
        """
        model = self.text_model
        x = vectors + model.embeddings.position_embedding.weight[: vectors.shape[1]]
        layers = model.encoder.layers
        for layer in layers[: len(layers) + 1 - skip]:
            x = layer(x)
        return model.final_layer_norm(x) if norm else x

    @property
    def depth(self) -> int:
        """Number of layers, the largest clip skip that leaves one."""
        return len(self.text_model.encoder.layers)

    @property
    def width(self) -> int:
        """How many numbers a token's vector has."""
        return self.text_model.embeddings.token_embedding.embedding_dim


class TextModel(nn.Module):
    """Embeddings, encoder and the final norm."""

    def __init__(self, shapes: Shapes, head_width: int, layers: int | None) -> None:
        super().__init__()
        self.embeddings = Embeddings(within(shapes, "embeddings."))
        self.encoder = Encoder(within(shapes, "encoder.layers."), head_width, layers)
        self.final_layer_norm = layer_norm_of(shapes, "final_layer_norm")


class Embeddings(nn.Module):
    """The tables of token and position vectors."""

    def __init__(self, shapes: Shapes) -> None:
        super().__init__()
        self.token_embedding = embedding_of(shapes, "token_embedding")
        self.position_embedding = embedding_of(shapes, "position_embedding")


class Encoder(nn.Module):
    """The row of layers."""

    def __init__(self, shapes: Shapes, head_width: int, layers: int | None) -> None:
        super().__init__()
        numbers = children(shapes)[:layers]
        self.layers = nn.ModuleList(Layer(within(shapes, f"{index}."), head_width) for index in numbers)


class Layer(nn.Module):
    """Causal self-attention and a feed-forward layer, each after a norm."""

    def __init__(self, shapes: Shapes, head_width: int) -> None:
        super().__init__()
        self.layer_norm1 = layer_norm_of(shapes, "layer_norm1")
        self.self_attn = SelfAttention(within(shapes, "self_attn."), head_width)
        self.layer_norm2 = layer_norm_of(shapes, "layer_norm2")
        self.mlp = FeedForward(within(shapes, "mlp."), quick_gelu)

    def forward(self, x: Tensor) -> Tensor:
        """[B, T, D] to [B, T, D]."""
        x = x + self.self_attn(self.layer_norm1(x))
        result: Tensor = x + self.mlp(self.layer_norm2(x))
        return result


class SelfAttention(nn.Module):
    """Each token looks at itself and those before it."""

    def __init__(self, shapes: Shapes, head_width: int) -> None:
        super().__init__()
        self.heads = max(1, shapes["q_proj.weight"][0] // head_width)
        self.q_proj = linear_of(shapes, "q_proj")
        self.k_proj = linear_of(shapes, "k_proj")
        self.v_proj = linear_of(shapes, "v_proj")
        self.out_proj = linear_of(shapes, "out_proj")

    def forward(self, x: Tensor) -> Tensor:
        """[B, T, D] to [B, T, D]."""
        mixed: Tensor = self.out_proj(attend(self.q_proj(x), self.k_proj(x), self.v_proj(x), self.heads, causal=True))
        return mixed


def clip_shapes(width: int, layers: int, vocabulary: int = 49408, positions: int = 77) -> dict[str, Shape]:
    """Names and shapes of a CLIP text encoder."""
    parts: list[dict[str, Shape]] = [
        {
            "embeddings.token_embedding.weight": (vocabulary, width),
            "embeddings.position_embedding.weight": (positions, width),
        },
        norm("final_layer_norm", width),
    ]
    for index in range(layers):
        name = f"encoder.layers.{index}"
        parts += [norm(f"{name}.layer_norm{each}", width) for each in (1, 2)]
        parts += [linear(f"{name}.self_attn.{each}_proj", width, width) for each in ("q", "k", "v", "out")]
        parts += [linear(f"{name}.mlp.fc1", width, 4 * width), linear(f"{name}.mlp.fc2", 4 * width, width)]
    return joined(parts, "text_model.")
