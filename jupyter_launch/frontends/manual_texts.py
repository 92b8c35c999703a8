"""What the manual pages say besides the options, which the option table says."""

from __future__ import annotations

from typing import NamedTuple

_SETTINGS = ("entity", "project", "queue", "resource", "image", "store")


class Text(NamedTuple):
    """The words of one page; `defaults` are the settings that it shows."""

    title: str
    synopsis: tuple[str, ...]
    about: str
    examples: tuple[tuple[str, str], ...]
    defaults: tuple[str, ...] = _SETTINGS


TEXTS = {
    "launch": Text(
        "launch a cell, script, folder, git repository, job or image now",
        (
            "%launch [OPTION ...] [PATH] [-- ARGUMENT ...]",
            "%%launch [OPTION ...] [-- ARGUMENT ...]",
        ),
        "The cell's body, or what the line names, becomes a program in a container, or in a "
        "process of its own. The line returns at once with a card, which shows the log live, and "
        "a handle; the run outlives this kernel. A cell is Python, or what a first line #! says. "
        "$name and {name} stand for variables of the notebook; nothing is evaluated.",
        (
            (
                "A cell with a run config, which the program finds in WANDB_CONFIG:",
                '%%launch --set lr=0.1 epochs=3\nimport os\nprint(os.environ["WANDB_CONFIG"])',
            ),
            (
                "A script with arguments of its own:",
                "%launch train.py -- --epochs 3",
            ),
            (
                "A cell in shell, with a file that comes along:",
                "%%launch --include data.csv\n#!/bin/sh\nwc -l data.csv",
            ),
            (
                "A secret by its name, a variable of the notebook, and waiting for the end:",
                "%launch train.py --secret HF_TOKEN --config $config --wait -o run",
            ),
            (
                "A container with limits:",
                '%launch train.py -r local-container -R "{local-container: {memory: 2g}}"',
            ),
            ("An image:", '%launch -d busybox -E "echo hello"'),
            (
                "A commit, tag or branch of a git repository:",
                '%launch -u https://github.com/me/vision -g v1.0 -E "python train.py"',
            ),
            ("A job:", "%launch -j me/vision/train:latest --set lr=0.2"),
            ("What would be started, without starting it:", "%launch train.py --dry-run"),
        ),
    ),
    "launch_add": Text(
        "put a cell, script, folder, git repository, job or image on a queue",
        (
            "%launch_add [OPTION ...] [PATH] [-- ARGUMENT ...]",
            "%%launch_add [OPTION ...] [-- ARGUMENT ...]",
        ),
        "As %launch, but the run waits on a queue until an agent takes it: those of higher "
        "priority first, then in the order in which they came. A queue without an agent gets one "
        "on this machine by itself.",
        (
            (
                "A cell on the queue of the settings:",
                '%%launch_add -o queued\nprint("whoever was free ran this")',
            ),
            (
                "A script on a queue, before those of medium priority:",
                "%launch_add train.py --queue default --priority high -- --epochs 3",
            ),
            (
                "A value for a template variable of the queue:",
                "%launch_add train.py -q shared -v niceness=7",
            ),
            (
                "An image built here, made a job, and queued:",
                "%launch_add train.py --requirements requirements.txt --build",
            ),
        ),
    ),
    "launch_form": Text(
        "fill in a form, and launch what it says",
        ("%launch_form [OPTION ...] [PATH]", "%%launch_form [OPTION ...]"),
        "Shows a form with a field for every option; what the line says is filled in, and the "
        "cell's body is its source. Nothing is launched before a button is pressed.",
        (
            ("An empty form:", "%launch_form"),
            (
                "A form for a script, with a value filled in:",
                "%launch_form train.py --set lr=0.1",
            ),
        ),
    ),
    "relaunch": Text(
        "launch a recorded run again",
        ("%relaunch [RUN] [OPTION ...]",),
        "The same spec as it was recorded: the same commit, the same files, even if they, or the "
        "cell, have changed since. The new run knows the old one as its parent. RUN is an id, or a "
        "variable with a handle; without it, the run launched last from here is meant.",
        (
            ("The last run again:", "%relaunch"),
            ("A run again, with one value changed:", "%relaunch 7wq2k9xd --set lr=0.01"),
        ),
        (),
    ),
    "launch_config": Text(
        "show every setting, and where its value comes from",
        ("%launch_config [NAME ...]",),
        "A setting is looked up in this order: %config LaunchMagics (which is also what IPython's "
        "configuration says), the environment, the project file, Jupyter's configuration, W&B's "
        "own variables, the default. An option on the line of a launch wins over all of them.",
        (
            ("All settings:", "%launch_config"),
            ("Some:", "%launch_config queue resource"),
            ("Setting one for this session:", '%config LaunchMagics.queue = "gpu"'),
        ),
        (*_SETTINGS, "build.inherit_pip_config", "artifacts.limit"),
    ),
    "launch_queue": Text(
        "make, show and change queues, and move what waits on them",
        ("%launch_queue", "%launch_queue VERB [OPTION ...] [NAME | ID ...]"),
        "A queue has a resource and options that hold for its items, and may limit how many of "
        "them are at work at once. Paused, it takes items and gives none; drained, it gives what "
        "is left and takes none. What waits can be moved to another queue or given another "
        "priority, and each item says what it waits for. Without a verb, all queues are listed. "
        "$name stands for a run or a mapping that a variable of the notebook holds.",
        (
            ("All queues:", "%launch_queue"),
            (
                "A queue that gives out two at a time, with options for its items:",
                "%launch_queue create night -r local-process --max-running 2 -c night.yaml",
            ),
            ("What waits on it, and for what:", "%launch_queue show night"),
            ("Nothing more is started for now:", "%launch_queue pause night"),
            ("Two runs to another queue:", "%launch_queue move 7wq2k9xd 3hf81mzc --to default"),
            ("A run before the others:", "%launch_queue prioritize 7wq2k9xd -P high"),
        ),
        ("entity", "store"),
    ),
}
