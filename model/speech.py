"""Generated speech for training: what eSpeak NG says in made-up voices.

Nothing is validated or tested on it. It is the same everywhere by seed and by eSpeak's version.
"""

from __future__ import annotations

import functools
import hashlib
import os
import re
import shutil
import subprocess
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from model.datasets.base import Dataset, Recording
from model.datasets.folder import SourceFile
from model.datasets.resample import Resampled, change_rate
from model.datasets.wav_folder import clip, decode
from model.errors import ConfigError
from model.progress import console
from model.recipe import Recipe
from model.recipe_tables import SpeechConfig

Float = npt.NDArray[np.float32]
PROGRAM, KEY = "espeak-ng", "augment.speech"
# Speakers that sound like people, of eSpeak NG 1.51 (`espeak-ng --voices=variant`).
SPEAKERS = """Alex Alicia Andrea Andy Annie AnxiousAndy Denis Diogo Henrique Hugo Jacky Lee Marco
Mario Michael Mike Nguyen adam anika announcer antonio aunty belinda benjamin boris caleb david ed
edward edward2 f1 f2 f3 f4 f5 grandma grandpa gustave john kaukovalta linda m1 m2 m3 m4 m5 m6 m7 m8
marcelo max michel miguel norbert pablo paul pedro quincy rob robert sandro shelby steph steph2
steph3 victor zac"""
PITCHES = (15, 85)  # of eSpeak's 0 to 99
RATES = (110, 200)  # words a minute
QUIET = 1e-4  # power below the loudest that a word begins and ends with
SMOOTH_S = 0.01  # over which power is looked at
MAX_LEVELS = 1000  # recordings whose peaks are looked at
SECONDS = 60.0  # more than any word takes
SIMPLER = str.maketrans({"V": "a", "I": "i", "0": "o"})  # vowels that few languages have


@dataclass(frozen=True, slots=True)
class Voice:
    """Who says a word, and how."""

    name: str  # a language and a speaker: 'en-us+f3'
    pitch: int
    rate: int
    accent: bool


@dataclass(frozen=True, slots=True)
class Speech:
    """All generated words, in the order of their voices."""

    words: tuple[tuple[str, Float], ...]  # (class, samples from -1 to 1 without silence around)
    sha256: str
    by: str  # 'eSpeak NG 1.51'


_made: dict[tuple[str, float], Speech] = {}  # by config and rate


def program_version() -> str:
    """'1.51', or '' when eSpeak NG is not installed."""
    if shutil.which(PROGRAM) is None:
        return ""
    match = re.search(r"text-to-speech: (\S+)", _run(["--version"]).decode("utf-8", "replace"))
    return match[1] if match else "unknown"


def require_same_speech(recipe: Recipe, sample_rate_hz: float, sha256: str) -> None:
    """ConfigError where eSpeak NG says it otherwise here than where the job was sent from."""
    speech = load_speech(recipe, sample_rate_hz)
    if speech is not None and speech.sha256 != sha256:
        raise ConfigError(
            f"{KEY}: {speech.by} of this machine makes other sounds (SHA-256 "
            f"{speech.sha256[:12]}) than the one that the job comes from ({sha256[:12]}); install "
            "the same version"
        )


def load_speech(recipe: Recipe, sample_rate_hz: float) -> Speech | None:
    """The recipe's generated words; None for none. Made once in a process."""
    config = recipe.augment.speech
    if config is None:
        return None
    key = (repr(config), sample_rate_hz)
    if key not in _made:
        _made[key] = _generate(config, sample_rate_hz)
    return _made[key]


def _generate(config: SpeechConfig, rate_hz: float) -> Speech:
    version = program_version()
    if not version:
        raise ConfigError(
            f"{KEY}: expected the program {PROGRAM}, got none on PATH; type: sudo apt-get install "
            f"{PROGRAM}, or remove the table"
        )
    work = list(_work(config))
    console.print(f"generating speech: {len(work):,} words by eSpeak NG {version}")
    with ThreadPoolExecutor(os.cpu_count()) as pool:  # each waits for a process
        sounds = list(pool.map(lambda job: _say(job[1], job[2], rate_hz), work))
    digest = hashlib.sha256(b"".join(sound.tobytes() for sound in sounds)).hexdigest()
    words = tuple((label, sound) for (label, *_), sound in zip(work, sounds, strict=True))
    return Speech(words, digest, f"eSpeak NG {version}")


def voices(config: SpeechConfig) -> list[Voice]:
    """Random ones, the same by seed; every other one has an accent, where there are some."""
    rng, speakers = np.random.RandomState(config.seed), SPEAKERS.split()
    found = []
    for number in range(config.voices):
        accent = bool(config.accents) and number % 2 == 1
        languages = config.accents if accent else config.languages
        language = languages[int(rng.randint(len(languages)))]
        speaker = speakers[int(rng.randint(len(speakers)))]
        pitch, rate = (int(rng.randint(low, high + 1)) for low, high in (PITCHES, RATES))
        found.append(Voice(f"{language}+{speaker}", pitch, rate, accent))
    return found


def _work(config: SpeechConfig) -> list[tuple[str, Voice, str]]:
    """(class, voice, text or phonemes) of all that is said."""
    work = []
    for voice in voices(config):
        for label, text in config.words.items():
            said = _phonemes(config.languages[0], voice.name, text) if voice.accent else text
            if said:
                work.append((label, voice, said))
    return work


@functools.lru_cache(None)
def _spoken(language: str, text: str) -> str:
    """eSpeak's phonemes of a text: s'Ev@n."""
    return " ".join(_run(["-q", "-x", "-v", language, "--", text]).decode("utf-8").split())


def _phonemes(language: str, voice: str, text: str) -> str:
    """What the voice of another language is to say; '' where it lacks the phonemes."""
    phonemes, other = _spoken(language, text), voice.partition("+")[0]
    for tried in (phonemes, phonemes.translate(SIMPLER)):
        if len(_letters(_spoken(other, f"[[{tried}]]"))) >= len(_letters(tried)) - 1:
            return f"[[{tried}]]"
    return ""


def _letters(phonemes: str) -> str:
    return re.sub(r"[^\w@]", "", phonemes)


def _say(voice: Voice, text: str, rate_hz: float) -> Float:
    """The samples of a text [n] at the data's rate, from its first sound to its last."""
    options = ["-v", voice.name, "-p", str(voice.pitch), "-s", str(voice.rate), "--stdout"]
    data = _run([*options, "--", text])
    values, rate = decode(SourceFile(name=f"{PROGRAM} {voice.name}", data=data))
    sound = change_rate(values, rate, rate_hz, Resampled(), PROGRAM)[:, 0]
    smooth = max(round(SMOOTH_S * rate_hz), 1)
    power = np.convolve(sound.astype(np.float64) ** 2, np.ones(smooth) / smooth, "same")
    heard = np.flatnonzero(power > power.max() * QUIET)
    if not len(heard):
        raise ConfigError(
            f"{KEY}: {voice.name} says nothing for {text!r}; expected a sound; write it otherwise"
        )
    return sound[heard[0] : heard[-1] + 1]


def _run(arguments: Sequence[str]) -> bytes:
    try:
        done = subprocess.run(
            [PROGRAM, *arguments], capture_output=True, timeout=SECONDS, check=False
        )
    except subprocess.TimeoutExpired as error:
        raise ConfigError(
            f"{KEY}: `{PROGRAM} {' '.join(arguments)}` did not end in {SECONDS:g} s; say less"
        ) from error
    if done.returncode:
        raise ConfigError(
            f"{KEY}: `{PROGRAM} {' '.join(arguments)}` ended with code {done.returncode}: "
            f"{done.stderr.decode('utf-8', 'replace').strip()}; correct languages, accents or "
            "words"
        )
    return done.stdout


def generated_recordings(
    recipe: Recipe, dataset: Dataset, real: Sequence[Recording]
) -> list[Recording]:
    """The generated words as recordings for training, as long and as loud as the `real` ones.

    A word stands amid silence, or loses both ends where it is longer. Its peak is the median of
    the real recordings' peaks.
    """
    speech = load_speech(recipe, dataset.sample_rate_hz)
    if speech is None:
        return []
    own = recipe.dataset.wav_folder
    seconds = own.clip_seconds if own else 0.0
    length = max(round(seconds * dataset.sample_rate_hz), recipe.features.window)
    some = real[:: len(real) // MAX_LEVELS + 1]
    peak = np.float32(np.median([np.abs(r.values).max() for r in some]))
    return [
        Recording(
            values=clip(sound[:, None] * (peak / np.abs(sound).max()), length),
            label=dataset.labels.index(label),
            group=-1,  # of nobody
            name=KEY,
        )
        for label, sound in speech.words
        if label in dataset.labels  # not of a class that is left out
    ]


def describe(recipe: Recipe, speech: Speech | None) -> dict[str, Any]:
    """What training heard of it, for records and reports; empty for nothing."""
    config = recipe.augment.speech
    if speech is None or config is None:
        return {}
    return {
        "by": speech.by,
        "words": len(speech.words),
        "voices": config.voices,
        "languages": [*config.languages, *config.accents],
        "share": config.share,
        "sha256": speech.sha256,
    }
