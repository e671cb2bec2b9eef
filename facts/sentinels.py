"""What stands, in a symbolic preview, for what a cloud will only tell when it has made a resource.

A sentinel has the true shape of the value and carries a digest of the resource's URN, so that whoever meets
it elsewhere in the plan knows of which resource it speaks.
"""

import hashlib

#: As long as the random part of an EC2 id (`vpc-0123456789abcdef0`), in hexadecimal digits.
LENGTH = 17

#: The environment variable of a review, which stand-ins plan and nobody can apply: `symbolic`, a sentinel
#: for each output, or `ordinary`, with outputs unknown where the official plugins know none.
PREVIEW = "SOVEREIGN_PREVIEW"


def digest(urn: str) -> str:
    """The mark of a resource in its sentinels: 17 hexadecimal digits, the first of them zero as in EC2."""
    return "0" + hashlib.sha256(urn.encode()).hexdigest()[: LENGTH - 1]
