"""The tokenizer: jieba counts the words, a Unigram model finds them again at serving time.

jieba segments the whole corpus once. The most frequent words and characters become the pieces of a
`tokenizers` Unigram model with their log-probabilities as scores, so that Viterbi segmentation in Rust
does online what jieba does slowly in Python (Kudo 2018, https://arxiv.org/abs/1804.10959, with word counts
in the place of EM).
"""

from __future__ import annotations

import logging
import lzma
import math
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from multiprocessing import get_context
from pathlib import Path
from typing import Final

import jieba
from tokenizers import AddedToken, Tokenizer, models, normalizers, pre_tokenizers, processors
from transformers import PreTrainedTokenizerFast

from data.text import PLACEHOLDERS, normalise
from training.errors import DataError
from training.pretrain_config import VocabularyConfig

logger = logging.getLogger(__name__)

SPECIAL: Final = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")
SEPARATOR: Final = "\x01"
_DOMAIN_WORDS: Final = Path(__file__).parent / "configs" / "domain_words.txt"
"""Words of wallets and banks that jieba's dictionary lacks or splits."""
_MAX_WORD: Final = 8
_LATIN: Final = re.compile(r"[a-z]{2,20}")
_HAN: Final = re.compile(r"[\u3400-\u9fffuk]?[\u3400-\u9fff]{1,7}")
_PLACEHOLDER: Final = re.compile("(" + "|".join(map(re.escape, PLACEHOLDERS)) + ")")


def read_lines(path: Path) -> Iterator[str]:
    """Yield the lines of a text file or an xz-compressed one.

    Raises:
        DataError: the file does not exist.
    """
    if not path.is_file():
        raise DataError(f"no corpus file {path}; check [[sources]] and --corpus")
    opener = lzma.open if path.suffix == ".xz" else open
    with opener(path, "rt", encoding="utf-8") as file:
        yield from (line.rstrip("\n") for line in file)


def learn_domain_words() -> None:
    """Teach jieba the words of `domain_words.txt`."""
    jieba.setLogLevel(logging.WARNING)
    for word in _DOMAIN_WORDS.read_text("utf-8").split():
        jieba.add_word(word.lower())


def segment(text: str) -> list[str]:
    """Split a raw text into normalised, lower-cased words; their concatenation is the whole text."""
    words: list[str] = []
    for part in _PLACEHOLDER.split(normalise(text)):
        words += [part] if part in PLACEHOLDERS else jieba.lcut(part.lower())
    return words


def _segment_lines(lines: Sequence[str]) -> list[str]:
    return [SEPARATOR.join(segment(line)) for line in lines]


def _batches(lines: Iterable[str], size: int) -> Iterator[list[str]]:
    batch: list[str] = []
    for line in lines:
        batch.append(line)
        if len(batch) == size:
            yield batch
            batch = []
    if batch:
        yield batch


def segment_file(source: Path, target: Path, processes: int) -> None:
    """Write ``source`` segmented, one passage a line, words parted by `SEPARATOR`."""
    learn_domain_words()
    temporary = target.with_suffix(".tmp")
    with temporary.open("w", encoding="utf-8") as out, get_context("fork").Pool(processes) as pool:
        for batch in pool.imap(_segment_lines, _batches(read_lines(source), 500)):
            out.writelines(line + "\n" for line in batch if line)
    temporary.rename(target)


def count_words(segmented: Iterable[tuple[Path, float]]) -> Counter[str]:
    """Count the words of segmented files, each file with its weight."""
    counts: Counter[str] = Counter()
    for path, weight in segmented:
        own: Counter[str] = Counter()
        for line in read_lines(path):
            own.update(line.split(SEPARATOR))
        for word, count in own.items():
            counts[word] += round(count * weight)
    return counts


def choose_pieces(counts: Counter[str], config: VocabularyConfig) -> list[tuple[str, float]]:
    """Choose the pieces and their log-probabilities.

    Args:
        counts: weighted word counts.
        config: size and kind of the vocabulary.

    Returns:
        ``config.size`` pairs of piece and score at most; the special tokens come first with score 0.
    """
    characters: Counter[str] = Counter()
    for word, count in counts.items():
        if word not in PLACEHOLDERS:
            for character in word:
                characters[character] += count
    characters.pop(" ", None)
    keep = {c: n for c, n in characters.items() if n >= config.min_character_count}
    for letter in "abcdefghijklmnopqrstuvwxyz0123456789":
        keep.setdefault(letter, config.min_character_count)
    room = config.size - len(SPECIAL) - len(PLACEHOLDERS)
    pieces = dict(sorted(keep.items(), key=lambda item: (-item[1], item[0]))[:room])
    words = (
        (word, count)
        for word, count in counts.most_common()
        if len(word) > 1
        and len(word) <= (_MAX_WORD if not word.isascii() else 20)
        and (_LATIN.fullmatch(word) or (config.kind == "words" and _HAN.fullmatch(word)))
    )
    for word, count in words:
        if len(pieces) >= room:
            break
        pieces[word] = count
    total = sum(pieces.values())
    ranked = sorted(pieces.items(), key=lambda item: (-item[1], item[0]))
    fixed = [(token, 0.0) for token in (*SPECIAL, *PLACEHOLDERS)]
    return fixed + [(piece, math.log(count / total)) for piece, count in ranked]


def build_tokenizer(pieces: list[tuple[str, float]], max_positions: int) -> PreTrainedTokenizerFast:
    """Make a stock fast tokenizer from scored pieces.

    Its own normaliser does NFKC and lower case, the part of `data.text.normalise` that stock parts allow.
    """
    tokenizer = Tokenizer(models.Unigram(pieces, unk_id=1, byte_fallback=False))
    tokenizer.normalizer = normalizers.Sequence([normalizers.NFKC(), normalizers.Lowercase()])
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [pre_tokenizers.WhitespaceSplit(), pre_tokenizers.Digits(individual_digits=True)]
    )
    ids = {token: number for number, (token, _) in enumerate(pieces)}
    tokenizer.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]",
        pair="[CLS] $A [SEP] $B:1 [SEP]:1",
        special_tokens=[("[CLS]", ids["[CLS]"]), ("[SEP]", ids["[SEP]"])],
    )
    tokenizer.add_special_tokens([AddedToken(t, special=True, normalized=False) for t in SPECIAL])
    tokenizer.add_tokens([AddedToken(t, special=False, normalized=False) for t in PLACEHOLDERS])
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        model_max_length=max_positions,
        pad_token="[PAD]",
        unk_token="[UNK]",
        cls_token="[CLS]",
        sep_token="[SEP]",
        mask_token="[MASK]",
    )
