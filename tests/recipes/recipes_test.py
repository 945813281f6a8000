#!/usr/bin/env python3
"""Follows each recipe of docs/development.md for one example, in a copy of the tree.

    tests/recipes/recipes_test.py            the edits fit, and are in the files that the recipe names
    tests/recipes/recipes_test.py --compile  the copy compiles, and a job file with the new things is accepted
"""
import json
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile
import unittest

import recipes

ROOT = pathlib.Path(__file__).resolve().parents[2]
BUILD = pathlib.Path(os.environ.get('EQUIPOISE_BUILD', ROOT / 'build' / 'release'))
PROGRAM = pathlib.Path(__file__).with_name('read_examples.cc')
# The libraries that the examples change: they are compiled from the copy, all others are those of the build.
CHANGED = {'config': 'common/config', 'robust': 'common/robust', 'model_files': 'worker/model'}

JOB = '''name: example
model: {path: m}
data: {train: t}
output: o
loss: {type: exponential}
robust: {mode: group_robust, ambiguity_set: total_variation, radius: 0.25}
logging: {digits: 6}
'''
LLAMA = dict(model_type='llama', hidden_size=8, intermediate_size=16, num_hidden_layers=1, num_attention_heads=2,
             vocab_size=32, max_position_embeddings=64, rms_norm_eps=1e-6, hidden_act='silu')


def copy_tree(folder):
    for part in ('proto', 'common', 'worker'):
        shutil.copytree(ROOT / part, folder / part, ignore=shutil.ignore_patterns('target'))


def apply(recipe, folder):
    for file, anchor, text in recipe.edits:
        path = folder / file
        if anchor is None:
            assert not path.exists(), f'{file} exists'
            path.write_text(text)
            continue
        old = path.read_text()
        assert old.count(anchor) == 1, f'{file} has {anchor!r} {old.count(anchor)} times'
        path.write_text(old.replace(anchor, text + anchor))


def named_files(recipe):
    """The file that each numbered step of a recipe begins with."""
    page = (ROOT / 'docs' / 'development.md').read_text()
    start = page.index('\n' + recipe.title)
    steps = re.search(r'(?:^\d+\. .*\n(?:   .*\n)*)+', page[start:], re.MULTILINE).group()
    files = re.findall(r'^\d+\. `([^`]+)`', steps, re.MULTILINE)
    for placeholder, name in recipe.names.items():
        files = [file.replace(placeholder, name) for file in files]
    return files


class Recipes(unittest.TestCase):
    def test_each_names_the_files_that_its_example_edits(self):
        for recipe in recipes.ALL:
            with self.subTest(recipe.title):
                self.assertEqual(sorted(named_files(recipe)), sorted({file for file, _, _ in recipe.edits}))

    def test_a_loss_a_set_and_a_setting_take_no_more_files_than_a_family_with_new_mathematics(self):
        for recipe in recipes.ALL:
            self.assertLessEqual(len(named_files(recipe)), 4, recipe.title)

    def test_all_examples_fit_the_tree_at_once(self):
        with tempfile.TemporaryDirectory() as name:
            folder = pathlib.Path(name)
            copy_tree(folder)
            for recipe in recipes.ALL:
                apply(recipe, folder)


class Compiler:
    """Compiles files of the copy with the flags of the build, the copy's headers first."""

    def __init__(self, folder):
        self.folder = folder
        self.generated = folder / 'generated'
        self.entries = json.loads((BUILD / 'compile_commands.json').read_text())

    def run(self, *command):
        done = subprocess.run([str(part) for part in command], capture_output=True, text=True, cwd=self.folder)
        if done.returncode != 0:
            raise AssertionError(' '.join(map(str, command)) + '\n' + done.stdout + done.stderr)
        return done.stdout

    def flags(self, target):
        command = next(e['command'] for e in self.entries if f'/{target}.dir/' in e['command'])
        words = [word for word in command.split() if word != 'ccache'][1:]
        kept, skip = [], False
        for word in words:
            if skip or word in ('-o', '-c'):
                skip = not skip
            else:
                kept.append(word)
        return ['-I' + str(self.folder), '-I' + str(self.generated), *kept]

    def protobuf(self):
        self.generated.mkdir()
        self.run('protoc', '-I', self.folder / 'proto', '--cpp_out', self.generated, self.folder / recipes.PROTO)

    def check(self, target, *files):
        for file in files:
            self.run('c++', *self.flags(target), '-fsyntax-only', self.folder / file)

    def objects_of(self, library):
        folder = CHANGED[library]
        text = (self.folder / folder / 'CMakeLists.txt').read_text()
        block = re.search(rf'equipoise_library\({library}\s+SOURCES(.*?)(?:PUBLIC|PRIVATE)', text, re.DOTALL).group(1)
        sources = [f'{folder}/{name}' for name in re.findall(r'[\w/]+\.cc', block)]
        for below in sorted((self.folder / folder).glob('*/CMakeLists.txt')):
            more = re.search(rf'target_sources\(equipoise_{library}\s+PRIVATE(.*?)\)', below.read_text(), re.DOTALL)
            if more:
                sources += [f'{folder}/{below.parent.name}/{name}' for name in re.findall(r'[\w/]+\.cc', more.group(1))]
        most = 12  # sources of a unit, as in the build
        return [self.object_of(f'equipoise_{library}', f'{library}{i}', sources[i:i + most])
                for i in range(0, len(sources), most)]

    def object_of(self, target, name, files):
        unit = self.folder / f'{name}.unit.cc'
        unit.write_text(''.join(f'#include "{self.folder / file}"\n' for file in files))
        self.run('c++', *self.flags(target), '-w', '-O0', '-c', unit, '-o', self.folder / f'{name}.o')
        return self.folder / f'{name}.o'

    def link(self, program, objects):
        changed = {f'libequipoise_{library}.a' for library in (*CHANGED, 'rpc')}
        archives = [a for a in BUILD.glob('**/libequipoise_*.a') if '/deps/' not in str(a) and a.name not in changed]
        self.run('c++', '-o', self.folder / program, *objects, '-Wl,--start-group', *archives, '-Wl,--end-group',
                 *'-lyaml-cpp -lprotobuf -lsimdjson -lcrypto -lpthread -ldl -lm'.split())
        return self.folder / program


class Compiled(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.temporary = tempfile.TemporaryDirectory()
        cls.folder = pathlib.Path(cls.temporary.name)
        copy_tree(cls.folder)
        for recipe in recipes.ALL:
            apply(recipe, cls.folder)
        cls.compiler = Compiler(cls.folder)
        cls.compiler.protobuf()

    @classmethod
    def tearDownClass(cls):
        cls.temporary.cleanup()

    def test_the_formula_of_the_loss_compiles(self):
        self.compiler.check('equipoise_objective', 'worker/objective/pair_loss.cc')

    def test_the_examples_are_accepted_and_have_their_values(self):
        shutil.copy(PROGRAM, self.folder / PROGRAM.name)
        objects = [each for library in CHANGED for each in self.compiler.objects_of(library)]
        objects.append(self.compiler.object_of('equipoise_config', 'job', ['generated/equipoise/v1/job.pb.cc']))
        objects.append(self.compiler.object_of('equipoise_config', 'main', [PROGRAM.name]))
        program = self.compiler.link('read_examples', objects)
        (self.folder / 'job.yaml').write_text(JOB)
        (self.folder / 'config.json').write_text(json.dumps({**LLAMA, 'model_type': 'olmo', 'clip_qkv': False}))
        told = self.compiler.run(program, self.folder / 'job.yaml', self.folder / 'config.json')
        self.assertIn('type: exponential', told)
        self.assertIn('ambiguity_set: total_variation', told)
        self.assertIn('radius: 0.25', told)
        self.assertIn('digits: 6', told)
        self.assertIn('weights: 0.75 0.25', told)
        self.assertIn('model_type: olmo', told)
        self.refuses(program, 'digits: 6', 'digits: 18', 'logging.digits is 18, expected an integer from 1 to 17')
        self.refuses(program, 'radius: 0.25', 'radius: 2', 'robust.radius is 2, expected a number in [0, 1]')
        self.refuses(program, ', radius: 0.25', '', 'robust.radius is missing, expected it with robust.ambiguity_set '
                     'total_variation')
        self.refuses(program, 'exponential', 'exponential, label_smoothing: 0.1',
                     'loss.label_smoothing needs loss.type dpo or robust')

    def refuses(self, program, old, new, text):
        (self.folder / 'wrong.yaml').write_text(JOB.replace(old, new))
        done = subprocess.run([program, self.folder / 'wrong.yaml', self.folder / 'config.json'], capture_output=True,
                              text=True)
        self.assertEqual(done.returncode, 2, done.stdout)
        self.assertIn(text, done.stderr)


if __name__ == '__main__':
    compiles = '--compile' in sys.argv
    sys.argv = [word for word in sys.argv if word != '--compile']
    if not compiles:
        del Compiled
    unittest.main()
