"""Topics of a text without labels: latent Dirichlet allocation, by variational inference over the counts of words."""

import numpy as np
import torch


def lda_topics(
    documents: np.ndarray, words: np.ndarray, vocabulary: int, topics: int = 40, rounds: int = 30, seed: int = 0
) -> np.ndarray:
    """How probable each word is in each topic.

    A document mixes topics, a topic is a distribution over words. Neither is known: each round asks which topic each word of each
    document speaks of, given what is believed so far, and believes what the answers add up to.

    Args:
        documents: (tokens,) integers, number of the document that each word stands in.
        words: (tokens,) integers.
        vocabulary: how many words there are.
        topics: how many topics to find.
        rounds: how often to ask.
        seed: of the first guess.

    Returns:
        (topics, vocabulary) float32, rows with a sum of 1, each word above 0.

    Raises:
        ValueError: there is no word or no topic.

    Source:
        Blei, Ng and Jordan 2003, with smoothed topics; priors 1/topics and 0.01.
    """
    if not len(words) or topics < 1:
        raise ValueError("topics need a word, and there must be one topic or more")
    pairs, count = np.unique(np.stack([documents, words]), axis=1, return_counts=True)
    document, word = torch.from_numpy(pairs[0]), torch.from_numpy(pairs[1])  # (pairs,) each
    count_of_pair = torch.from_numpy(count)[:, None].float()  # (pairs, 1)
    of_document, of_word = 1 / topics, 0.01
    random = torch.Generator().manual_seed(seed)
    theta = torch.ones(int(document.max()) + 1, topics)  # documents × topics: pseudo-counts
    beta = of_word + torch.rand(vocabulary, topics, generator=random)  # words × topics: pseudo-counts
    for _ in range(rounds):
        log_theta = torch.digamma(theta) - torch.digamma(theta.sum(dim=1, keepdim=True))
        log_beta = torch.digamma(beta) - torch.digamma(beta.sum(dim=0))
        speaks_of = torch.softmax(log_theta[document] + log_beta[word], dim=1) * count_of_pair  # (pairs, topics)
        theta = torch.full_like(theta, of_document).index_add_(0, document, speaks_of)
        beta = torch.full_like(beta, of_word).index_add_(0, word, speaks_of)
    return (beta / beta.sum(dim=0)).T.contiguous().numpy()
