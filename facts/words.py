"""Keys and names as they are compared: without case, dashes and underscores."""


def plain(word: str) -> str:
    """`apiURL`, `api_url` and `api-url` are one key."""
    return word.replace("_", "").replace("-", "").lower()
