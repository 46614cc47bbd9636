from __future__ import annotations

from collections import Counter
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
import torch
from transformers import AutoModelForSequenceClassification, BertConfig

from data.corpus import read_split
from data.text import normalise
from training.batches import ROW_LENGTHS, batches, keep_shares
from training.errors import ConfigError, DataError
from training.masking import IGNORE, MASK, fill_rows, mask_words, passage_words
from training.mlm import PretrainingModel, masked_model
from training.packing import WORD_START, PackedCorpus, pack
from training.pretrain_config import PretrainConfig, Source, Stage, VocabularyConfig, read_config
from training.replacing import NOT_ASKED, Generator, replace
from training.vocabulary import SEPARATOR, build_tokenizer, choose_pieces, count_words, read_lines, segment_file
from training.word_vectors import cooccurrences, word_vectors

CONFIG = PretrainConfig("test", (Source("a.txt", weight=2.0),), (Stage(1.0),), tokens_per_step=256)


@pytest.fixture(scope="module")
def packed(tmp_path_factory: pytest.TempPathFactory) -> tuple[PackedCorpus, int]:
    folder = tmp_path_factory.mktemp("pretraining")
    texts = [record.text.replace("\n", " ") for record in read_split("validation")]
    (folder / "a.txt").write_text("\n".join(texts) + "\n", "utf-8")
    segment_file(folder / "a.txt", folder / "a.seg", processes=1)
    pieces = choose_pieces(count_words([(folder / "a.seg", 2.0)]), VocabularyConfig(size=1500, min_character_count=2))
    tokenizer = build_tokenizer(pieces, 128).backend_tokenizer
    pack(tokenizer, [folder / "a.seg"], folder / "packed", 0.25)
    return PackedCorpus.open(folder / "packed"), tokenizer.get_vocab_size()


def test_segmentation_loses_nothing(tmp_path: Path) -> None:
    texts = ["余额宝转出来没到账，ios8.3闪退！", "订单20231231000012退款 https://a.b/c"]
    (tmp_path / "t.txt").write_text("\n".join(texts) + "\n", "utf-8")
    segment_file(tmp_path / "t.txt", tmp_path / "t.seg", processes=1)
    lines = list(read_lines(tmp_path / "t.seg"))
    assert [line.replace(SEPARATOR, "") for line in lines] == ["余额宝转出来没到账,ios8.3闪退!", "订单<NUM>退款 <URL>"]
    assert "余额宝" in lines[0].split(SEPARATOR) and "<NUM>" in lines[1].split(SEPARATOR)
    assert normalise(texts[1]).lower() == lines[1].replace(SEPARATOR, "").lower()


def test_vocabulary_has_words_digits_and_placeholders() -> None:
    counts = Counter({"闪退": 90, "的": 200, "退": 5, "app": 40, "<NUM>": 8, "9": 3, "罕": 1})
    pieces = choose_pieces(counts, VocabularyConfig(size=100, min_character_count=2))
    names = [piece for piece, _ in pieces]
    assert names[:8] == ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "<NUM>", "<EMAIL>", "<URL>"]
    assert {"闪退", "闪", "退", "app", "0", "9"} <= set(names) and "罕" not in names
    tokenizer = build_tokenizer(pieces, 128)
    assert tokenizer.tokenize("APP闪退 10 <NUM>罕") == ["app", "闪退", "1", "0", "<NUM>", "罕"]
    assert tokenizer("罕")["input_ids"] == [2, 1, 3]


def test_packed_passages_keep_word_starts(packed: tuple[PackedCorpus, int]) -> None:
    corpus, _ = packed
    assert len(corpus.sources) >= 400 and corpus.lengths.max() <= 126 and corpus.lengths.min() >= 1
    first = np.asarray(corpus.ids)[np.asarray(corpus.offsets[:-1])]
    assert ((first & WORD_START) != 0).mean() > 0.95


def test_whole_words_are_masked_together() -> None:
    start = int(WORD_START)
    passage = np.array([start | 10, 11, 12, start | 13, start | 14, 15], dtype=np.uint16)
    rows = fill_rows([passage] * 400, 12)
    words = passage_words(rows, np.ones(100, dtype=np.float32), np.random.default_rng(0))
    batch = mask_words(rows, words, 0.3, 100, np.random.default_rng(0))
    target = np.full(rows.size, IGNORE)
    real = batch.targets != IGNORE
    target[batch.positions[real]] = batch.targets[real]
    chosen = target.reshape(rows.shape) != IGNORE
    assert (chosen[:, 1] == chosen[:, 2]).mean() > 0.9  # the last word of a full quota may be cut
    assert 0.1 < chosen[:, 1:7].mean() < 0.45
    assert not chosen[:, [0, 7, 8, 9, 10, 11]].any()
    assert 0.7 < (batch.ids[chosen] == MASK).mean() < 0.9
    assert not batch.attention[:, 8:].any() and batch.attention[:, :8].all()


def test_frequent_pieces_seldom_stand_for_a_passage(packed: tuple[PackedCorpus, int]) -> None:
    corpus, size = packed
    keep = keep_shares(corpus, size)
    ids = np.asarray(corpus.ids) & ~WORD_START
    commonest = int(np.bincount(ids).argmax())
    assert keep.shape == (size,) and keep[commonest] == keep.min() < 0.1 and keep.max() == 1
    passage = np.array([20, 21, 22, 23, 24, 25], dtype=np.uint16)
    shares = np.ones(100, dtype=np.float32)
    shares[21] = 0.05
    rows = fill_rows([passage] * 400, 10)
    drawn = passage_words(rows, shares, np.random.default_rng(0))
    assert drawn.shape == (400, 8) and set(np.unique(drawn)) == {IGNORE, 20, 21, 22, 23, 24, 25}
    assert (drawn == 20).sum() == 400 and (drawn == 21).sum() < 60
    few = passage_words(rows, np.ones(100, dtype=np.float32), np.random.default_rng(0), n_words=3)
    assert (few != IGNORE).all() and all(len(set(row)) == 3 for row in few.tolist())


TINY = BertConfig(
    vocab_size=100, hidden_size=16, num_hidden_layers=1, num_attention_heads=2, intermediate_size=32,
    hidden_dropout_prob=0.0, attention_probs_dropout_prob=0.0,
)  # fmt: skip


def masked(words: list[int], times: int) -> tuple[npt.NDArray[np.uint16], list[torch.Tensor]]:
    """Rows of the same words over and over, and the tensors of them as a masked batch."""
    rows = fill_rows([np.array([int(WORD_START) | word for word in words], dtype=np.uint16)] * times, 10)
    named = passage_words(rows, np.ones(100, dtype=np.float32), np.random.default_rng(0))
    batch = mask_words(rows, named, 0.3, 100, np.random.default_rng(0))
    arrays = (batch.ids, batch.attention, batch.positions, batch.targets, batch.words)
    return rows, [torch.from_numpy(array) for array in arrays]


def test_the_pooled_output_is_trained_and_handed_on(tmp_path: Path) -> None:
    torch.manual_seed(0)
    model = PretrainingModel(TINY)
    _, arrays = masked([20, 21, 22], 40)
    loss, mlm = model(*arrays, passage_weight=0.5)
    alone, same = model(*arrays, passage_weight=0.0)
    assert alone.item() == same.item() == pytest.approx(mlm.item()) and loss.item() > mlm.item() + 1
    torch.autograd.backward(loss)
    pooler = model.mlm.bert.pooler.dense.weight
    assert pooler.grad is not None and float(pooler.grad.abs().sum()) > 0
    model.mlm.save_pretrained(tmp_path)
    tuned, loading = AutoModelForSequenceClassification.from_pretrained(tmp_path, output_loading_info=True)
    assert torch.equal(tuned.bert.pooler.dense.weight, pooler)
    assert loading["missing_keys"] == {"classifier.weight", "classifier.bias"}


def test_replaced_pieces_are_asked_for_and_nothing_else() -> None:
    torch.manual_seed(0)
    rows, (ids, attention, positions, targets, named) = masked([20, 21, 22, 23], 50)
    chance = torch.rand(len(positions), generator=torch.Generator().manual_seed(0))
    mlm = masked_model(TINY)
    with torch.no_grad():
        mlm.cls.predictions.bias[20:22] = 50.0  # a generator that says 20 or 21, each as often as the other
    drawn = Generator(mlm)(ids, attention, positions, chance)
    assert set(drawn.tolist()) == {20, 21} and 0.35 < (drawn == 20).float().mean() < 0.65
    new, answers = replace(ids, positions, targets, drawn)
    original = torch.from_numpy((rows & ~WORD_START).astype(np.int64))
    assert (new[:, 0] == original[:, 0]).all() and (new >= 8).sum() == (original >= 8).sum()
    asked = answers != NOT_ASKED
    assert torch.equal(asked, original >= 8)
    assert torch.equal(answers[asked] == 1, (new != original)[asked]) and (answers == 1).any()
    model = PretrainingModel(TINY)
    without, plain = model(new, attention, positions, targets, named, 0.0)
    loss, _ = model(new, attention, positions, targets, named, 0.0, answers=answers, replaced_weight=2.0)
    assert without.item() == plain.item() and loss.item() - plain.item() == pytest.approx(2 * np.log(2), rel=0.2)
    torch.autograd.backward(loss)
    assert all(p.grad is None for p in Generator(mlm).parameters())
    assert model.replaced[0].weight.grad is not None


def test_batches_are_a_function_of_seed_and_epoch(packed: tuple[PackedCorpus, int]) -> None:
    corpus, size = packed
    stage = CONFIG.stages[0]
    keep = keep_shares(corpus, size)
    first, again, other = (list(batches(corpus, CONFIG, stage, epoch, keep)) for epoch in (0, 0, 1))
    assert len(first) > 20
    assert all((a.ids == b.ids).all() and (a.targets == b.targets).all() for a, b in zip(first, again, strict=True))
    assert any(a.ids.shape != b.ids.shape or (a.ids != b.ids).any() for a, b in zip(first, other, strict=False))
    assert {batch.ids.shape[1] for batch in first} <= set(ROW_LENGTHS)


def test_word_vectors_find_company(packed: tuple[PackedCorpus, int]) -> None:
    corpus, size = packed
    counts = cooccurrences(corpus, size)
    assert counts.shape == (size, size) and abs(counts - counts.T).max() == 0
    vectors = word_vectors(corpus, size, 16)
    assert vectors.shape == (size, 16) and np.isfinite(vectors).all() and vectors.std() > 0


def test_configurations_are_read_strictly(tmp_path: Path) -> None:
    shipped = read_config(Path(__file__).parents[2] / "training" / "configs" / "encoder.toml")
    assert len(shipped.sources) > 30 and {s.tier for s in shipped.sources} == {"A", "B"}
    path = tmp_path / "c.toml"
    path.write_text('name = "x"\n[[sources]]\nfile = "a"\nwheight = 2\n[[stages]]\nminutes = 1\n', "utf-8")
    with pytest.raises(ConfigError, match="wheight"):
        read_config(path)
    path.write_text('name = "x"\n', "utf-8")
    with pytest.raises(ConfigError, match="at least one"):
        read_config(path)
    with pytest.raises(ConfigError, match="no configuration file"):
        read_config(tmp_path / "none.toml")
    with pytest.raises(DataError, match="no corpus file"):
        next(read_lines(tmp_path / "none.txt"))
