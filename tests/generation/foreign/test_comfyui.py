import json
import time

import pytest

from pochade.generation.foreign import comfyui
from pochade.generation.request import Request

from .graphs import WORKFLOW, node, sampler, usual


def read(graph, **texts):
    return comfyui.read({"prompt": json.dumps(graph), **texts})


def test_the_usual_graph():
    settings = read(usual())
    assert settings.left_out == ()
    assert settings.text == (
        "beautiful scenery, purple galaxy bottle\nNegative prompt: text, watermark\n"
        "Steps: 20, Sampler: Euler, Schedule type: Normal, CFG scale: 8, Seed: 156680208700286, Size: 512x768, "
        "Model: v1-5-pruned-emaonly, RNG: CPU, Version: ComfyUI"
    )
    assert settings.recalled().ignored == ()
    assert settings.recalled().request == Request(
        "beautiful scenery, purple galaxy bottle", "text, watermark", steps=20, sampler="Euler", schedule="Normal",
        cfg=8.0, seed=156680208700286, width=512, height=768, model="v1-5-pruned-emaonly", rng="cpu", clip_skip=1,
    )  # fmt: skip


def test_loras_on_the_way_to_the_model_become_tags_in_the_order_of_loading():
    graph = usual(
        n10=node("LoraLoader", lora_name="s/ink.safetensors", strength_model=0.8, strength_clip=0.5, model=["4", 0]),
        n11=node("LoraLoaderModelOnly", lora_name="night.safetensors", strength_model=1, model=["10", 0]),
        n12=node("Reroute", **{"": ["11", 0]}),
        n13=node("Power Lora Loader (rgthree)", lora_1={"on": True, "lora": "fish.safetensors", "strength": 0.3},
                 lora_2={"on": False, "lora": "off.safetensors", "strength": 1}, model=["12", 0]),
        n3=sampler(model=["13", 0]),
    )  # fmt: skip
    settings = read(graph)
    assert settings.prompt.endswith("bottle <lora:ink:0.5:0.8> <lora:night:1> <lora:fish:0.3>")
    assert (settings.parameters["Model"], settings.left_out) == ("v1-5-pruned-emaonly", ())


def test_clip_skip_vae_and_what_changes_the_model():
    graph = usual(
        n10=node("CLIPSetLastLayer", stop_at_clip_layer=-2, clip=["4", 1]),
        n11=node("VAELoader", vae_name="vae/ft-mse.safetensors"),
        n8=node("VAEDecode", samples=["3", 0], vae=["11", 0]),
        n12=node("ModelSamplingDiscrete", sampling="v_prediction", zsnr=True, model=["4", 0]),
        n13=node("FreeU_V2", b1=1.3, model=["12", 0]),
        n3=sampler(model=["13", 0]),
    )
    settings = read(graph)
    request = settings.recalled().request
    assert (request.clip_skip, request.vae) == (2, "ft-mse.safetensors")
    assert (request.prediction, request.zero_terminal_snr) == ("v", True)
    assert settings.left_out == ("the node FreeU_V2 of the model",)


@pytest.mark.parametrize(
    ("names", "labels"),
    [
        (("dpmpp_2m", "karras"), ("DPM++ 2M", "Karras")),
        (("dpmpp_2m_sde_gpu", "exponential"), ("DPM++ 2M SDE", "Exponential")),
        (("euler_ancestral", "sgm_uniform"), ("Euler a", "SGM Uniform")),
        (("dpm_2_ancestral", "simple"), ("DPM2 a", "Simple")),
        (("ddim", "ddim_uniform"), ("Euler", "DDIM")),
        (("uni_pc_bh2", "beta"), ("UniPC", "Beta")),
    ],
)
def test_samplers_and_schedules_have_our_names(names, labels):
    settings = read(usual(n3=sampler(sampler_name=names[0], scheduler=names[1])))
    assert (settings.parameters["Sampler"], settings.parameters["Schedule type"]) == labels
    assert settings.left_out == ()


def test_names_that_nobody_here_knows_are_told():
    settings = read(usual(n3=sampler(sampler_name="res_multistep", scheduler="linear_quadratic")))
    assert "Sampler" not in settings.parameters
    assert settings.left_out == (
        "the sampler res_multistep, which Pochade does not have",
        "the schedule linear_quadratic, which Pochade does not have",
    )


def test_a_graph_with_a_second_pass_gives_the_first():
    graph = usual(
        n10=node("LatentUpscaleBy", upscale_method="nearest-exact", scale_by=1.5, samples=["3", 0]),
        n11=sampler(seed=5, steps=12, denoise=0.5, latent_image=["10", 0]),
        n8=node("VAEDecode", samples=["11", 0], vae=["4", 2]),
    )
    settings = read(graph)
    assert (settings.parameters["Seed"], settings.parameters["Size-2"]) == ("156680208700286", "768")
    assert settings.left_out == ("its further pass by KSampler of 12 steps",)


def test_a_graph_with_several_pictures_says_so():
    graph = usual(
        n10=sampler(seed=5),
        n11=node("VAEDecode", samples=["10", 0], vae=["4", 2]),
        n12=node("SaveImage", filename_prefix="other", images=["11", 0]),
    )
    assert read(graph).left_out == ("that the graph draws several pictures, of which this may be another",)


def test_base_and_refiner_by_advanced_samplers():
    base = {"steps": 25, "cfg": 8, "sampler_name": "euler", "scheduler": "normal", "positive": ["6", 0]}
    base |= {"negative": ["7", 0], "add_noise": "enable", "noise_seed": 721897303308196, "end_at_step": 20}
    graph = usual(
        n3=node("KSamplerAdvanced", **base, start_at_step=0, model=["4", 0], latent_image=["5", 0]),
        n11=node("KSamplerAdvanced", **base | {"end_at_step": 10000}, start_at_step=20, model=["4", 0],
                 latent_image=["3", 0]),
        n8=node("VAEDecode", samples=["11", 0], vae=["4", 2]),
    )  # fmt: skip
    settings = read(graph)
    assert (settings.parameters["Seed"], settings.parameters["Steps"]) == ("721897303308196", "25")
    assert settings.left_out == ("its further pass by KSamplerAdvanced of 25 steps",)


def test_a_custom_sampler_has_its_settings_on_other_nodes():
    graph = usual(
        n3=node("SamplerCustomAdvanced", noise=["20", 0], guider=["21", 0], sampler=["22", 0], sigmas=["23", 0],
                latent_image=["5", 0]),
        n20=node("RandomNoise", noise_seed=7),
        n21=node("CFGGuider", cfg=4.5, model=["4", 0], positive=["6", 0], negative=["7", 0]),
        n22=node("KSamplerSelect", sampler_name="dpmpp_2m"),
        n23=node("KarrasScheduler", steps=30, sigma_max=14.6, sigma_min=0.03, rho=7),
    )  # fmt: skip
    request = read(graph).recalled().request
    assert (request.seed, request.steps, request.cfg, request.sampler) == (7, 30, 4.5, "DPM++ 2M")
    assert (request.schedule, request.sigma_max, request.sigma_min, request.rho) == ("Karras", 14.6, 0.03, 7.0)
    assert (request.prompt[:9], request.negative_prompt[:4], request.model[:4]) == ("beautiful", "text", "v1-5")


def test_a_picture_drawn_over_another_wants_that():
    graph = usual(
        n5=node("VAEEncode", pixels=["10", 0], vae=["4", 2]),
        n10=node("LoadImage", image="house.png", upload="image"),
        n3=sampler(denoise=0.6),
    )
    recalled = read(graph).recalled()
    assert (recalled.began_with, recalled.request.strength, recalled.request.exact_steps) == (("image",), 0.6, True)
    masked = graph | {"5": node("VAEEncodeForInpaint", pixels=["10", 0], vae=["4", 2], mask=["10", 1], grow_mask_by=6)}
    recalled = read(masked).recalled()
    assert (recalled.began_with, recalled.request.mask_blur) == (("image", "mask"), 0)


def test_a_later_picture_of_a_batch_is_told():
    settings = read(usual(n5=node("EmptyLatentImage", width=512, height=512, batch_size=4)))
    assert settings.left_out == ("that it may be a later one of 4 pictures, whose noise no seed of its own gives",)


def test_weights_of_words_are_read_without_normalising():
    settings = read(usual(n6=node("CLIPTextEncode", text="a (red:1.3) house", clip=["4", 1])))
    assert settings.recalled().request.emphasis == "No norm"
    assert "weigh words" in settings.left_out[0]


def test_values_from_other_nodes_are_followed():
    graph = usual(
        n3=sampler(seed=["30", 0], steps=["31", 0]),
        n30=node("Seed (rgthree)", seed=99),
        n31=node("PrimitiveInt", value=["32", 0]),
        n32=node("PrimitiveInt", value=33),
    )
    assert (read(graph).parameters["Seed"], read(graph).parameters["Steps"]) == ("99", "33")


def test_the_graph_of_the_editor_is_read_where_there_is_no_other():
    settings = comfyui.read({"workflow": json.dumps(WORKFLOW)})
    assert settings.text == (
        "a bottle\nNegative prompt: text, watermark\nSteps: 20, Sampler: DPM++ 2M, Schedule type: Karras, "
        "CFG scale: 8, Seed: 156680208700286, Size: 512x768, Model: v1-5, RNG: CPU, Version: ComfyUI"
    )
    assert settings.left_out == ()


def test_webp_files_have_the_graph_in_exif():
    assert comfyui.read({"Model": f"prompt:{json.dumps(usual())}", "Make": "workflow:{}"}).parameters["Steps"] == "20"


def test_a_graph_without_a_sampler_tells_that():
    settings = read({"1": node("LoadImage", image="x.png"), "2": node("SaveImage", images=["1", 0])})
    assert (settings.program, settings.text) == ("ComfyUI", "")
    assert "no sampler" in settings.left_out[0]


@pytest.mark.parametrize("text", ["", "a cat", "{", "[]", '{"a": 1}', '{"1": {"class_type": 5}}', "{" * 100_000])
def test_what_is_no_graph_is_left_to_others(text):
    assert comfyui.read({"prompt": text}) is None


def test_graphs_in_circles_and_with_countless_ways_end_soon():
    started = time.perf_counter()
    circle = usual(n6=node("ConditioningCombine", conditioning_1=["6", 0], conditioning_2=["6", 0]))
    assert "which is not held as text" in read(circle).left_out[0]
    ladder = {str(key): node("ConditioningCombine", conditioning_1=[str(key + 1), 0], conditioning_2=[str(key + 1), 0])
              for key in range(100, 160)}  # fmt: skip
    read(usual(n3=sampler(positive=["100", 0])) | ladder)
    chain = {str(key): sampler(latent_image=[str(key + 1), 0], model=[str(key + 1), 0]) for key in range(10, 3000)}
    read(usual(n8=node("VAEDecode", samples=["10", 0])) | chain)
    loop = usual(n30=node("PrimitiveInt", value=["30", 0]), n3=sampler(seed=["30", 0], model=["3", 0]))
    read(loop)
    assert time.perf_counter() - started < 10
