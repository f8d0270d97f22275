"""At which rate each weight of a classifier learns: a factor on --lr.

    factor(w) = d^-depth                      discriminative rates: Howard & Ruder 2018, sec. 3.3
    factor(W) = min(1, 1500 / n)              of a matrix of a head, with n inputs

depth: 0 for the heads, 1 for the uppermost layer of the encoders, and so on down. A step of Adam
moves each weight by about eta, and W x by up to eta (|x_1| + ... + |x_n|): at a rate that falls
as 1/n this does not grow with the inputs, as muP has it (Yang et al. 2021, table 3). Of a step
along the gradient it is eta |x|^2, which grows with n as well.
"""

from charlm.model.classifier import Classifier

# Up to here the usual rate was measured; 7,680 inputs at it are worse by a half (scripts/LOG.md).
REFERENCE_INPUTS = 1500


def rate_factors(model: Classifier, discriminative_lr: float) -> dict[str, float]:
    """By the names of the weights that learn."""
    weights = dict(model.named_parameters())
    factors = {}
    for depth, group in enumerate(model.layer_groups()):
        for name in group:
            factors[name] = discriminative_lr**-depth
            weight = weights[name]
            if name.startswith("heads.") and weight.dim() > 1:
                factors[name] *= min(1.0, REFERENCE_INPUTS / weight.shape[1])
    return factors
