"""The whole way from text to text in a fresh process without Hugging Face and without a network."""

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]
BLOCKED = ("transformers", "datasets", "huggingface_hub", "accelerate")

CODE = """
import pkgutil, socket, sys
from importlib import import_module
from pathlib import Path

for name in {blocked!r}:
    sys.modules[name] = None  # importing it is then an ImportError

def refuse(*arguments, **options):
    raise AssertionError("asked for the network")

for name in ("connect", "connect_ex", "sendto", "bind"):
    setattr(socket.socket, name, refuse)
socket.getaddrinfo = socket.gethostbyname = socket.create_connection = refuse

import minillm
for module in pkgutil.walk_packages(minillm.__path__, "minillm."):
    if not module.name.endswith("__main__"):
        import_module(module.name)

from minillm.config import DecoderConfig
from minillm.data import PackedWindows, prepare_data
from minillm.evaluation import evaluate_documents
from minillm.generation import generate
from minillm.models.decoder import Decoder
from minillm.objectives.causal import causal_batch
from minillm.optim import make_optimizer
from minillm.text.documents import Document
from minillm.training import train

texts = [f"The cat number {{i}} sat on the mat." for i in range(40)]
data = prepare_data(Path("data"), [Document(text, text) for text in texts], vocab_size=280)
tokenizer = data.tokenizer
model = Decoder(DecoderConfig.gpt(vocab_size=280, context_length=16, d_model=16, n_heads=2))
windows = PackedWindows(data.train, context_length=16, batch_size=4, seed=0)
steps = ([causal_batch(windows.batch_at(k), bos_id=tokenizer.bos_id)] for k in range(20))
optimizer = make_optimizer(model, name="adamw", learning_rate=0.01)
losses = [result.loss for result in train(model, optimizer, steps)]
documents = data.documents("validation")
judged = evaluate_documents(model, documents, n_bytes=data.n_bytes(documents))
(written,) = generate(model, [[tokenizer.bos_id]], max_new_tokens=5)
assert losses[-1] < losses[0] and judged.bits_per_byte > 0 and len(written) > 1
print("done")
"""


def test_text_becomes_a_model_that_writes_without_network_row64(tmp_path):
    environment = os.environ | {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", CODE.format(blocked=BLOCKED)],
        cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=120,
    )  # fmt: skip
    assert (done.returncode, done.stdout) == (0, "done\n"), done.stderr
