import pytest

from pochade.generation.foreign.comfyui_graph import Graph
from pochade.generation.foreign.comfyui_prompts import as_a1111, prompt_of

from .graphs import node, sampler, usual


def positive(role="positive", **nodes):
    graph = Graph.of(usual(n3=sampler(positive=["20", 0], negative=["20", 0]), **nodes))
    return prompt_of(graph, graph.nodes["3"], role)


CAT, DOG = node("CLIPTextEncode", text="cat"), node("CLIPTextEncode", text="dog")
PAIR = {"n21": CAT, "n22": DOG}


def test_combined_conditions_have_equal_shares():
    combined = node("ConditioningCombine", conditioning_1=["21", 0], conditioning_2=["22", 0])
    assert positive(n20=combined, **PAIR).text == "cat :0.5 AND dog :0.5"
    found = positive("negative", n20=combined, **PAIR)
    assert (found.text, found.left_out) == ("cat", ("all of its negative prompts but the first",))


def test_concatenated_conditions_are_chunks():
    joined = node("ConditioningConcat", conditioning_to=["21", 0], conditioning_from=["22", 0])
    assert positive(n20=joined, **PAIR).text == "cat BREAK dog"


def test_both_texts_of_sdxl():
    encode = node("CLIPTextEncodeSDXL", text_g="cat", text_l="cat", width=1024, height=1024)
    assert positive(n20=encode).text == "cat"
    assert positive(n20=encode).left_out == ()
    other = node("CLIPTextEncodeSDXL", text_g="cat", text_l="dog", width=1024, height=1024)
    assert positive(n20=other).text == "cat"
    assert "second text" in positive(n20=other).left_out[0]


def test_nodes_with_an_effect_of_their_own_are_told():
    control = node("ControlNetApplyAdvanced", positive=["21", 0], negative=["22", 0], strength=1, image=["9", 0])
    found = positive(n20=control, **PAIR)
    assert (found.text, found.left_out) == ("cat", ("the node ControlNetApplyAdvanced of the positive prompt",))
    assert positive("negative", n20=control, **PAIR).text == "dog"


def test_a_text_may_come_from_another_node():
    encode = node("CLIPTextEncode", text=["21", 0])
    assert positive(n20=encode, n21=node("String Literal", string="cat")).text == "cat"
    found = positive(n20=encode, n21=node("WildcardMaker", depth=3))
    assert (found.text, found.left_out) == ("", ("the node WildcardMaker of the positive prompt",))


def test_a_loader_may_hold_both_prompts():
    loader = node("Efficient Loader", ckpt_name="x.safetensors", positive="cat", negative="dog")
    assert (positive(n20=loader).text, positive("negative", n20=loader).text) == ("cat", "dog")


def test_an_emptied_condition_is_an_empty_prompt():
    assert positive("negative", n20=node("ConditioningZeroOut", conditioning=["21", 0]), n21=CAT).text == ""


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("embedding:ink.pt, a", "ink, a"),
        ("(embedding:folder/ink:1.2)", "(folder/ink:1.2)"),
        (r"[a] \[b\] \(c\)", r"\[a\] \[b\] \(c\)"),
    ],
)
def test_comfyui_language_is_brought_into_a1111s(text, expected):
    assert as_a1111(text) == expected
