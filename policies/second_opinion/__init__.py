"""A second opinion on a plan, by checkov: what it is shown, and what is made of its answer.

Advisory: it changes no verdict, but for the checks that checks.yaml takes as the kit's own. Nothing here runs
anything; `cli/second_opinion.py` does.
"""

from policies.second_opinion.opinion import Coverage, Opinion, Remark, checks, merge
from policies.second_opinion.render import Rendered, render

__all__ = ["Coverage", "Opinion", "Remark", "Rendered", "checks", "merge", "render"]
