"""Makes expected.json with bitsandbytes, on a CPU: weights, their NF4 codes and scales, and the weights that come back.

    pip install --target DIR --no-deps bitsandbytes==0.50.2
    PYTHONPATH=.deps/python-tests:.deps/python:DIR python3 tests/golden/nf4/make_nf4.py
"""

import json
import math
import pathlib

import bitsandbytes
import bitsandbytes.functional
import torch

ROWS, COLUMNS = 3, 128  # its CPU kernel wants whole blocks in a row


def main():
    count = ROWS * COLUMNS
    # A block of zeros, one whose largest number is negative, and numbers of every size.
    weight = torch.tensor([0.0 if 64 <= i < 128 else 0.02 * math.sin(0.9 * i) * (1 + i // 64) - 0.005
                           for i in range(count)]).view(ROWS, COLUMNS)
    codes, state = bitsandbytes.functional.quantize_4bit(weight, blocksize=64, quant_type="nf4")
    back = bitsandbytes.functional.dequantize_4bit(codes, state)
    expected = {"made_by": f"bitsandbytes {bitsandbytes.__version__}", "rows": ROWS, "columns": COLUMNS,
                "values": state.code.tolist(), "weight": weight.flatten().tolist(), "codes": codes.flatten().tolist(),
                "scales": state.absmax.tolist(), "dequantized": back.flatten().tolist()}
    (pathlib.Path(__file__).parent / "expected.json").write_text(json.dumps(expected) + "\n")


if __name__ == "__main__":
    main()
