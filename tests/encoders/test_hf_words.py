"""Text models of Hugging Face's transformers, of a tiny configuration, without a network."""

from __future__ import annotations

import sys

import pytest
import tokenizers
import torch
import transformers

from videolit.data.hf_words import HFTokenizer
from videolit.data.words import Utterance, pad_tokens
from videolit.encoders.hf_words import HFTextEncoder
from videolit.types import InputError

WORDS = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "hello", "you", "ann", ":", "!", "##s"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A model and its tokenizer as ``save_pretrained`` writes them."""
    path = tmp_path_factory.mktemp("bert")
    vocabulary = {word: number for number, word in enumerate(WORDS)}
    inner = tokenizers.Tokenizer(tokenizers.models.WordPiece(vocabulary, unk_token="[UNK]"))
    inner.normalizer = tokenizers.normalizers.BertNormalizer()
    inner.pre_tokenizer = tokenizers.pre_tokenizers.BertPreTokenizer()
    names = {"unk": "[UNK]", "cls": "[CLS]", "sep": "[SEP]", "pad": "[PAD]", "mask": "[MASK]"}
    transformers.PreTrainedTokenizerFast(
        tokenizer_object=inner, **{f"{key}_token": word for key, word in names.items()}
    ).save_pretrained(path)
    torch.manual_seed(0)
    config = transformers.BertConfig(
        vocab_size=len(WORDS),
        hidden_size=16,
        num_hidden_layers=2,
        num_attention_heads=2,
        intermediate_size=32,
        max_position_embeddings=64,
    )
    transformers.BertModel(config).save_pretrained(path)
    return path


def test_context_stands_behind_the_utterance_newest_first(folder):
    tokenizer = HFTokenizer.load(str(folder))
    said = Utterance("Hello hello!", "Ann")
    context = [Utterance("you", ""), Utterance("hellos", "")]
    words = [WORDS[number] for number in tokenizer.encode(said, context)]
    own = ["[CLS]", "ann", ":", "hello", "hello", "!", "[SEP]"]
    assert words == [*own, "hello", "##s", "[SEP]", "you", "[SEP]"]
    assert len(tokenizer.encode(said, context, max_length=4)) == 4
    assert (tokenizer.separator_id, tokenizer.unknown_id, len(tokenizer)) == (3, 1, len(WORDS))


def test_a_tokenizer_is_whole_in_its_json(folder):
    tokenizer = HFTokenizer.load(str(folder))
    again = HFTokenizer.from_json(tokenizer.to_json())
    said = Utterance("Hello you, stranger", "Ann")
    assert again.encode(said).tolist() == tokenizer.encode(said).tolist()
    assert again.to_json() == tokenizer.to_json()


def test_features_are_the_librarys_and_end_with_the_utterance(folder):
    tokenizer = HFTokenizer.load(str(folder))
    encoder = HFTextEncoder(str(folder), tokenizer.separator_id).eval()
    encoder.load_pretrained()
    model = transformers.AutoModel.from_pretrained(folder).eval()
    context = [Utterance("you")]
    tokens, mask = pad_tokens([tokenizer.encode("hello"), tokenizer.encode("hello you!", context)])
    with torch.no_grad():
        features, own = encoder(tokens, mask)
        expected = model(input_ids=tokens[1:]).last_hidden_state[0]
    assert encoder.num_features == 16
    assert own.sum(1).tolist() == [2, 4]
    torch.testing.assert_close(features[1, :4], expected[:4], atol=1e-5, rtol=1e-5)
    assert not features[~own].any()
    with torch.no_grad():
        alone, _ = encoder(tokens[:1, :3], mask[:1, :3])
    torch.testing.assert_close(features[0, :2], alone[0, :2], atol=1e-5, rtol=1e-5)


def test_a_checkpoint_needs_no_files(folder):
    encoder = HFTextEncoder(str(folder), 3).eval()
    encoder.load_pretrained()
    again = HFTextEncoder("gone/away", 3, encoder.config).eval()
    again.load_state_dict(encoder.state_dict())
    tokens = torch.tensor([[2, 5, 6, 3]])
    mask = torch.ones(1, 4, dtype=torch.bool)
    with torch.no_grad():
        torch.testing.assert_close(encoder(tokens, mask)[0], again(tokens, mask)[0])


def test_without_a_network_the_message_says_what_to_place_where(monkeypatch, tmp_path):
    def offline(*_, **__):
        raise OSError("no network")

    monkeypatch.setattr(transformers.AutoConfig, "from_pretrained", offline)
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path / "hub"))
    with pytest.raises(InputError) as caught:
        HFTextEncoder("some/model")
    for part in ("https://huggingface.co/some/model", "no network", "models--some--model"):
        assert part in str(caught.value)
    assert "tokenizer.json will do: give its path as weights" in str(caught.value)


def test_what_cannot_be_used_is_refused(tmp_path, folder, monkeypatch):
    with pytest.raises(InputError, match=r"expected a folder with config\.json"):
        HFTextEncoder(str(tmp_path))
    with pytest.raises(InputError, match=r"needs weights, or the text of a config\.json"):
        HFTextEncoder()
    with pytest.raises(InputError, match=r"not the content of a text model's config\.json"):
        HFTextEncoder(config="{}")
    with pytest.raises(InputError, match=r"not the content of a tokenizer\.json"):
        HFTokenizer("{}", None, "[SEP]", "[UNK]")
    with pytest.raises(InputError, match="not a tokenizer: no JSON"):
        HFTokenizer.from_json("hello")
    with pytest.raises(InputError, match="not a tokenizer: expected"):
        HFTokenizer.from_json("{}")
    with pytest.raises(InputError, match="max_length must be at least 1"):
        HFTokenizer.load(str(folder)).encode("hello", max_length=0)
    monkeypatch.setitem(sys.modules, "transformers", None)
    with pytest.raises(InputError, match=r"pip install 'videolit\[hf\]'"):
        HFTextEncoder(str(folder))
