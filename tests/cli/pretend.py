"""A pipeline that draws one flat colour: enough to try the command line without a model."""

import sys
import time
import types
from dataclasses import replace

from PIL import Image

from pochade.events import Made, Step, Warned
from pochade.generation.picture import Picture
from pochade.generation.pictures.inputs import Inputs

HASH = "abcdef0123"


class Pipeline:
    loaded = None
    pause = 0.0
    failure = None
    warning = None

    @classmethod
    def load(cls, path_or_name=None, vae=None, device="auto", dtype="auto", memory=None, folders=()):
        cls.loaded = {"model": path_or_name, "vae": vae, "device": device, "dtype": dtype}
        cls.memory = memory
        return cls()

    def resolve(self, request, inputs=None):
        hashes = (inputs or Inputs()).hashes()
        return replace(
            request.with_seeds(),
            steps=request.steps or 2,
            sampler=request.sampler or "DPM++ 2M",
            schedule=request.schedule or "Karras",
            width=request.width or 64,
            height=request.height or 64,
            clip_skip=request.clip_skip or 1,
            model_hash=HASH,
            vae_hash="",
            **{f"{name}_hash": digest for name, digest in hashes.items()},
        )

    def run(self, request, inputs=None):
        request = self.resolve(request.validate(), inputs)
        if self.warning:
            yield Warned(self.warning)
        for index in range(request.count):
            for step in range(request.steps):
                time.sleep(self.pause)
                yield Step(step + 1, request.steps)
            if self.failure:
                raise self.failure
            colour = (
                request.seed_of(index) % 256,
                request.variation_seed_of(index) % 256,
                request.batch_of(index)[0].batch,
            )
            image = Image.new("RGB", (request.width, request.height), colour)
            yield Made(Picture.made(image, request, index, inputs))


def install(modules=sys.modules):
    module = types.ModuleType("pochade.generation.pipeline")
    module.Pipeline = Pipeline
    modules[module.__name__] = module
