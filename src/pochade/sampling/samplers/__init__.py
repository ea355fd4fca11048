"""The samplers: one plain generator function per algorithm, (denoise, x, sigmas, noise, *, options) -> stages.

The DDIM family walks over rising timesteps in variance-preserving space and asks for noise instead of clean pictures.
"""
