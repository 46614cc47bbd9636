"""Any base of the BERT family becomes a bundle that stock transformers reads and that answers."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, Final

import numpy as np
import pytest
import torch
from tokenizers import ByteLevelBPETokenizer
from transformers import (
    AlbertConfig,
    AlbertForMaskedLM,
    BertConfig,
    BertForMaskedLM,
    ElectraConfig,
    ElectraForPreTraining,
    ErnieConfig,
    ErnieForMaskedLM,
    RobertaConfig,
    RobertaForMaskedLM,
    pipeline,
)

from data.taxonomy import Head, Label, Taxonomy
from model.bundle import open_bundle
from model.classifier import Classifier
from model.engine import OnnxEngine
from model.tokenizer import WindowTokenizer
from training.finetune import FinetuneConfig
from training.train import train_bundle
from training.training_data import TrainingData

TAXONOMY = Taxonomy(
    "kitchen",
    "1",
    (
        Head("dish", "single_label", (Label("汤"), Label("饭"))),
        Head("heat", "ordinal", (Label("冷"), Label("温"), Label("热"))),
    ),
)
RECORDS: list[dict[str, Any]] = [
    {"text": f"这碗{dish}{heat}了，OK{'！' * (n % 3)}味道{'好坏'[n % 2]}", "dish": dish, "heat": heat}
    for n, (dish, heat) in enumerate((d, h) for d in "汤饭" for h in "冷温热" for _ in range(4))
]
LONG = "这碗饭冷了，味道好，" * 40


_SIZE: Final = {
    "hidden_size": 32,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "intermediate_size": 64,
    "initializer_range": 0.2,
    "max_position_embeddings": 48,
}
_SPECIAL: Final = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")


def _vocab_txt(folder: Path, texts: Iterable[str]) -> int:
    """The vocab.txt of a Chinese BERT: special pieces, characters, and characters inside a word."""
    characters = sorted({character for text in texts for character in text.lower() if not character.isspace()})
    pieces = [*_SPECIAL, *characters, *(f"##{c}" for c in characters if c.isascii() and c.isalnum())]
    (folder / "vocab.txt").write_text("\n".join(pieces) + "\n", "utf-8")
    config = {"do_lower_case": True, "tokenizer_class": "BertTokenizer", "model_max_length": 512}
    (folder / "tokenizer_config.json").write_text(json.dumps(config), "utf-8")
    return len(pieces)


def bert(folder: Path, texts: Iterable[str]) -> None:
    """BERT and MacBERT: vocab.txt and safetensors."""
    BertForMaskedLM(BertConfig(vocab_size=_vocab_txt(folder, texts), **_SIZE)).save_pretrained(folder)


def ernie(folder: Path, texts: Iterable[str]) -> None:
    """ERNIE 3: task ids, and weights in the older pytorch_model.bin."""
    size = {**_SIZE, "task_type_vocab_size": 3, "use_task_id": True}
    model = ErnieForMaskedLM(ErnieConfig(vocab_size=_vocab_txt(folder, texts), **size))
    model.config.architectures = ["ErnieForMaskedLM"]
    model.config.save_pretrained(folder)
    torch.save(model.state_dict(), folder / "pytorch_model.bin")


def albert(folder: Path, texts: Iterable[str]) -> None:
    """Chinese ALBERT: shared layers, factorised embeddings, BERT's vocab.txt."""
    config = AlbertConfig(vocab_size=_vocab_txt(folder, texts), embedding_size=16, **_SIZE)
    AlbertForMaskedLM(config).save_pretrained(folder)


def electra(folder: Path, texts: Iterable[str]) -> None:
    """The discriminator of Chinese ELECTRA."""
    config = ElectraConfig(vocab_size=_vocab_txt(folder, texts), embedding_size=16, **_SIZE)
    ElectraForPreTraining(config).save_pretrained(folder)


def roberta(folder: Path, texts: Iterable[str]) -> None:
    """RoBERTa: byte-level BPE, positions that begin after the padding id."""
    tokenizer = ByteLevelBPETokenizer()
    special = ["<s>", "<pad>", "</s>", "<unk>", "<mask>"]
    tokenizer.train_from_iterator(texts, vocab_size=600, min_frequency=1, special_tokens=special)
    tokenizer.save_model(str(folder))
    (folder / "tokenizer_config.json").write_text(json.dumps({"tokenizer_class": "RobertaTokenizer"}), "utf-8")
    ids: dict[str, Any] = {"pad_token_id": 1, "bos_token_id": 0, "eos_token_id": 2, "type_vocab_size": 1}
    RobertaForMaskedLM(RobertaConfig(vocab_size=tokenizer.get_vocab_size(), **ids, **_SIZE)).save_pretrained(folder)


BASES: Final[dict[str, Callable[[Path, Iterable[str]], None]]] = {
    "bert": bert,
    "roberta": roberta,
    "ernie": ernie,
    "albert": albert,
    "electra": electra,
}


@pytest.mark.timeout(600)
@pytest.mark.parametrize(
    "kind", ["bert", "roberta", *(pytest.param(k, marks=pytest.mark.slow) for k in ("ernie", "albert", "electra"))]
)
def test_a_base_trains_exports_and_answers(kind: str, tmp_path: Path) -> None:
    base = tmp_path / kind
    base.mkdir()
    torch.manual_seed(0)
    BASES[kind](base, [str(record["text"]) for record in RECORDS])
    data = TrainingData(RECORDS, RECORDS, RECORDS, tests={"same": RECORDS})
    config = FinetuneConfig(epochs=2, batch_size=8, learning_rate=1e-3)
    version = train_bundle(data, TAXONOMY, tmp_path / "bundle", str(base), config)

    bundle = open_bundle(tmp_path / "bundle")
    assert (bundle.model_version, bundle.provenance["base"]) == (version, kind)
    # RoBERTa counts positions from its padding id on, so two of the 48 are never used
    assert bundle.max_tokens == (46 if kind == "roberta" else 48)
    assert not list(bundle.folder.rglob("*.bin")) and not (tmp_path / "bundle.work").exists()
    texts = ["这碗汤热了", "味道坏！OK", LONG]
    answers = Classifier(bundle, threads=1).predict(texts)
    assert [set(answer.labels) for answer in answers] == [{"dish", "heat"}] * 3

    stock = pipeline(
        "text-classification", model=str(bundle.folder), top_k=None, function_to_apply="none", device="cpu"
    )
    rows = [{one["label"]: one["score"] for one in row} for row in stock(texts[:2])]
    theirs = np.array([[row[name] for name in TAXONOMY.logit_names] for row in rows])
    windows = [w[0] for w in WindowTokenizer(bundle.path("tokenizer.json"), bundle.max_tokens).encode(texts[:2])]
    assert OnnxEngine(bundle.path(bundle.onnx["fp32"])).run(windows) == pytest.approx(theirs, abs=1e-4)
    (cut,) = stock([LONG], truncation=True)  # the stock tokenizer knows how much the model reads
    assert len(cut) == len(TAXONOMY.logit_names)
    config_file = json.loads(bundle.path("tokenizer_config.json").read_text("utf-8"))
    assert config_file["tokenizer_class"] == "PreTrainedTokenizerFast"
