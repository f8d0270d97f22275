"""Where everything of a packed model lies: numbers by name, shared by NumPy and compiled code.

A model is four arrays: `numbers` (int64; a header, a row a layer, a row a cluster), `weights`
(words of two bf16, in tiles), `floats` (biases) and `table` (V rows: what the first layer makes of
each token, or, where that would be too much, embeddings). A stream has a row of `state` and one
of `scratch`.
Whatever a product writes is padded to whole tiles, whatever it reads to whole vectors.
"""

from typing import Final

LANES: Final = 64  # outputs of a tile
WIDTH: Final = 16  # floats of a vector

# What the compiled code knows: charlm.model.cells, and of the RNN each of its functions.
LSTM, GRU, GRU_CHO, RNN_SIGMOID, RNN_TANH, RNN_RELU = range(6)

# The header.
(
    LAYERS,
    CELL,
    VOCABULARY,
    FOLDED,  # whether `table` holds the first layer's input products
    TABLE_STEP,  # floats of its rows
    STATE_STEP,  # floats of a stream's state
    SCRATCH_STEP,  # and of its scratch
    X_AT,  # in scratch: W_ih x + b_ih
    Z_AT,  # W_hh h + b_hh
    SEEN_AT,  # gru-cho: r * h
    N_AT,  # gru-cho: the candidates
    OLD_AT,  # zoneout: the state before
    PROJECTED_AT,
    LOGITS_AT,
    MASS_AT,  # exponentials of the logits
    PROJECTION,  # in weights; -1 where there is none
    PROJECTION_PAIRS,
    PROJECTION_TILES,
    PROJECTION_BIAS,  # zeros in floats
    OUTPUT,
    OUTPUT_PAIRS,
    OUTPUT_TILES,
    OUTPUT_BIAS,
    OUTPUT_AT,  # in scratch: what that gives; LOGITS_AT unless there are clusters
    CLUSTERS,  # of an adaptive softmax, 0 where there is none
    FREQUENT,  # the tokens that are in none
    PLACES,  # in floats: of each token's logit, after OUTPUT_AT
    REDUCED_AT,  # in scratch: P x of a cluster
    NGRAM_ORDER,  # 1: there are none
    NGRAM_ROWS,
    NGRAM_TABLE,  # in floats
    NGRAM_STEP,  # floats of its rows
    NGRAM_CODES,  # in floats, one a token
    HISTORY_AT,  # in a stream's state: the codes of the tokens before, newest first
    VECTOR_AT,  # in scratch: the sum of the n-grams' vectors
    HEADER,
) = range(36)

# The row of a layer.
(
    HIDDEN,
    STATE_AT,  # of h in a stream's state; c follows it
    PART,  # floats of h with its padding
    PARTS,  # of the state: 2 of the LSTM, else 1
    INPUT,  # W_ih in weights; -1 where it is folded
    INPUT_PAIRS,
    INPUT_BIAS,
    GATE_TILES,  # of all gates
    RECURRENT,  # W_hh; of gru-cho the rows of r and z
    RECURRENT_TILES,
    RECURRENT_BIAS,
    CANDIDATE,  # gru-cho: the rows of n
    CANDIDATE_TILES,
    CANDIDATE_BIAS,
    LAYER,
) = range(15)

# The row of a cluster.
(
    REDUCE,  # P in weights
    REDUCE_TILES,
    INSIDE,  # W in weights
    INSIDE_PAIRS,
    INSIDE_TILES,
    INSIDE_AT,  # in scratch, after OUTPUT_AT
    INSIDE_SIZE,  # tokens
    NO_BIAS,  # zeros in floats, for both
    CLUSTER,
) = range(9)

# How a token is chosen (`choice`), in float64.
(
    TEMPERATURE,
    TOP_K,  # V keeps everything
    TOP_P,  # 1 does
    MIN_P,  # its logarithm; -inf does
    TYPICAL_P,  # 1 does
    WORK,  # room for three numbers a token
) = range(6)


def padded(size: int, to: int) -> int:
    """`size` or the next multiple of `to`."""
    return -(-size // to) * to
