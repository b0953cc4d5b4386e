#!/usr/bin/env python
"""Route live requests: one prompt, a stream, or a server that OpenAI clients can use."""

from _stage import run

if __name__ == "__main__":
    run(__file__)
