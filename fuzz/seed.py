#!/usr/bin/env python3
"""Makes the seeds of the fuzz target `invoke`: the smallest models of each conformance pack.

seed.py PACKS CORPUS [--per-pack N] [--max-bytes N]
"""

import argparse
import hashlib
import pathlib
import zipfile


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("packs", type=pathlib.Path, help="folder of the packs")
    parser.add_argument("corpus", type=pathlib.Path, help="folder of the seeds, made where it is missing")
    parser.add_argument("--per-pack", type=int, default=3)
    parser.add_argument("--max-bytes", type=int, default=4096)
    arguments = parser.parse_args()
    arguments.corpus.mkdir(parents=True, exist_ok=True)
    seeds = set()
    for path in sorted(arguments.packs.glob("*.zip")):
        with zipfile.ZipFile(path) as pack:
            models = [entry for entry in pack.infolist() if entry.filename.endswith(".tflite")]
            models = [entry for entry in models if entry.file_size <= arguments.max_bytes]
            for entry in sorted(models, key=lambda entry: (entry.file_size, entry.filename))[: arguments.per_pack]:
                data = pack.read(entry)
                name = hashlib.sha1(data).hexdigest()
                (arguments.corpus / name).write_bytes(data)
                seeds.add(name)
    print(f"{len(seeds)} seeds in {arguments.corpus}")


if __name__ == "__main__":
    main()
