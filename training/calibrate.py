"""From raw logits to decisions that can be trusted: calibration, thresholds and the review rule.

Calibration is Platt scaling for labels of multi-label and binary heads (Platt 1999) and temperature with a bias a
label for the others (Guo et al. 2017, https://arxiv.org/abs/1706.04599), fitted by weighted likelihood on records the
model was not trained on, with a pull towards "no change" where records are few.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
from scipy.optimize import minimize

from data.taxonomy import Head, Taxonomy
from model.bundle import HeadDecision
from model.decision import choose, confidence, probabilities

Array = npt.NDArray[np.float64]
Logits = npt.NDArray[np.float32]


@dataclass(frozen=True)
class CalibrationConfig:
    """What decisions are tuned for.

    Attributes:
        prior: strength of the pull towards scale 1 and bias 0, in pseudo-records.
        max_escalation: predicted share of the escalating labels at most, as a factor of their true share.
        review_rate: share of texts a person should look at.
        review_heads: heads whose doubt asks for that; all of them where empty.
    """

    prior: float = 5.0
    max_escalation: float = 1.25
    review_rate: float = 0.18
    review_heads: tuple[str, ...] = ()


def _negative_log_likelihood(head: Head, logits: Array, truth: Array, weights: Array) -> float:
    if head.kind in ("multi_label", "binary"):
        each = np.logaddexp(0.0, logits) - truth * logits
        return float((each.sum(axis=1) * weights).sum())
    top = logits.max(axis=1, keepdims=True)
    normaliser = top[:, 0] + np.log(np.exp(logits - top).sum(axis=1))
    return float(((normaliser - (logits * truth).sum(axis=1)) * weights).sum())


def fit_scale_and_bias(head: Head, logits: Array, truth: Array, weights: Array, prior: float) -> tuple[Array, Array]:
    """Scale and bias of a head's logits by penalised maximum likelihood.

    Args:
        head: the head; multi-label heads get a scale a label, others one scale for all labels.
        logits: (n, n_labels).
        truth: (n, n_labels) 0/1.
        weights: (n,) weights of the records.
        prior: strength of the pull towards scale 1 and bias 0.

    Returns:
        (n_labels,) scale and (n_labels,) bias, float64.
    """
    n = logits.shape[1]
    scales = n if head.kind == "multi_label" else 1

    def objective(parameters: Array) -> float:
        scale, bias = np.exp(parameters[:scales]), parameters[scales:]
        penalty = prior * (np.square(parameters[:scales]).sum() + 0.25 * np.square(bias).sum())
        return _negative_log_likelihood(head, logits * scale + bias, truth, weights) + float(penalty)

    best = minimize(objective, np.zeros(scales + n), method="L-BFGS-B", options={"maxiter": 200})
    return np.exp(best.x[:scales]) * np.ones(n), best.x[scales:]


def best_thresholds(head: Head, p: Array, truth: Array, weights: Array) -> tuple[float, ...]:
    """Threshold a label: the best weighted F1, kept near what the miss cost asks for.

    Labels with fewer than 15 positive records take the cost's own threshold, 1 / (1 + miss cost), because the best
    F1 of few records is chance.
    """
    by_cost = 1.0 / (1.0 + head.miss_cost)
    result = []
    for column in range(p.shape[1]):
        own, true = p[:, column], truth[:, column]
        if true.sum() < 15:
            result.append(min(by_cost, 0.5))
            continue
        grid = np.arange(max(0.1, by_cost - 0.2), min(0.75, by_cost + 0.2) + 0.001, 0.01)
        scores = []
        for threshold in grid:
            said = own >= threshold
            hit = float((weights * said * true).sum())
            scores.append(2 * hit / max(float((weights * said).sum() + (weights * true).sum()), 1e-9))
        smooth = np.convolve(np.pad(scores, 3, mode="edge"), np.ones(7) / 7, mode="valid")
        result.append(round(float(grid[int(smooth.argmax())]), 3))
    return tuple(result)


def escalation_threshold(head: Head, p: Array, truth: Array, weights: Array, limit: float) -> float:
    """Lowest probability of the escalating labels that the miss cost asks for and the desk can bear.

    Args:
        head: a head with escalating labels.
        p: (n, n_labels) calibrated.
        truth: (n, n_labels) 0/1.
        weights: (n,).
        limit: predicted share at most, as a factor of the true share.
    """
    escalating = np.isin(head.names, head.escalate)
    side = p[:, escalating].sum(axis=1)
    allowed = limit * float((truth[:, escalating].sum(axis=1) * weights).sum())
    for threshold in np.arange(1.0 / (1.0 + head.miss_cost), 0.5, 0.01):
        if float(((side >= threshold) * weights).sum()) <= allowed:
            return round(float(threshold), 3)
    return 0.5


def review_thresholds(
    taxonomy: Taxonomy, decisions: dict[str, HeadDecision], p: Array, weights: Array, config: CalibrationConfig
) -> dict[str, float]:
    """Confidence a head under which a person should look, so that ``review_rate`` of the texts are flagged in all.

    Heads with a parent do not ask for review. One quantile serves all heads that do, so each contributes alike.
    """
    sure = {}
    for head in taxonomy.heads:
        if head.parent is None and (not config.review_heads or head.name in config.review_heads):
            own = p[:, taxonomy.slices[head.name]]
            decision = decisions[head.name]
            sure[head.name] = confidence(head, decision, own, choose(head, decision, own))
    low, high = 0.0, 1.0
    cut: dict[str, float] = {}
    for _ in range(30):
        share = (low + high) / 2
        cut = {name: float(np.quantile(values, share)) for name, values in sure.items()}
        flagged = np.any([values < cut[name] for name, values in sure.items()], axis=0)
        if float((flagged * weights).sum() / weights.sum()) > config.review_rate:
            high = share
        else:
            low = share
    return {name: round(value, 4) for name, value in cut.items()}


def calibrate(
    taxonomy: Taxonomy,
    logits: Logits,
    wanted: npt.NDArray[np.float32],
    weights: Array | None = None,
    config: CalibrationConfig = CalibrationConfig(),
) -> dict[str, HeadDecision]:
    """Fit all heads' decisions.

    Args:
        taxonomy: the heads.
        logits: (n, n_logits) of records the model was not trained on.
        wanted: (n, n_logits) targets, NaN where a record lacks a head.
        weights: (n,) that bring the records to their natural shares; equal by default.
        config: what to tune for.

    Returns:
        One decision a head. A head no record has keeps its raw logits.
    """
    every = np.ones(len(logits)) if weights is None else weights
    decisions: dict[str, HeadDecision] = {}
    calibrated = np.zeros(logits.shape)
    for head in taxonomy.heads:
        where = taxonomy.slices[head.name]
        present = ~np.isnan(wanted[:, where]).any(axis=1)
        own, truth, weight = logits[present, where].astype(float), wanted[present, where].astype(float), every[present]
        n = len(head.labels)
        if not present.any():
            scale, bias = np.ones(n), np.zeros(n)
        else:
            scale, bias = fit_scale_and_bias(head, own, truth, weight, config.prior)
        decision = HeadDecision(tuple(scale.round(5).tolist()), tuple(bias.round(5).tolist()))
        p = probabilities(head, decision, own)
        if head.kind in ("multi_label", "binary"):
            decision = replace(decision, thresholds=best_thresholds(head, p, truth, weight))
        elif head.escalate:
            threshold = escalation_threshold(head, p, truth, weight, config.max_escalation)
            decision = replace(decision, escalate_threshold=threshold)
        decisions[head.name] = decision
        calibrated[:, where] = probabilities(head, decision, logits[:, where].astype(float))
    cuts = review_thresholds(taxonomy, decisions, calibrated, every, config)
    return {name: replace(decision, review_below=cuts.get(name, 0.0)) for name, decision in decisions.items()}
