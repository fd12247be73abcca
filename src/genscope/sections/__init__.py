"""Sections: the parts that `profile` and `audit` are built from. A new system adds a file and a line in this table, or an entry point."""

from __future__ import annotations

PROFILE = {
    "scylla": "genscope.sections.profile.scylla:ScyllaSection",
    "questions": "genscope.sections.profile.questions:QuestionsSection",
    "coherence": "genscope.sections.profile.coherence:CoherenceSection",
    "length": "genscope.sections.profile.length:LengthSection",
    "copying": "genscope.sections.profile.copying:CopyingSection",
    "pathways": "genscope.sections.profile.pathways:PathwaysSection",
    "difficulty": "genscope.sections.profile.difficulty:DifficultySection",
    "generalizations": "genscope.sections.profile.generalizations:GeneralizationsSection",
    "genil": "genscope.sections.profile.genil:GenilSection",
}
"""Sections of `genscope profile`, in the order of the page."""
AUDIT = {
    "duplicates": "genscope.sections.audit.duplicates:DuplicatesSection",
    "near_duplicates": "genscope.sections.audit.near_duplicates:NearDuplicatesSection",
    "repeats": "genscope.sections.audit.repeats:RepeatsSection",
    "repetition": "genscope.sections.audit.repetition:RepetitionSection",
    "conflicts": "genscope.sections.audit.conflicts:ConflictsSection",
    "leaks": "genscope.sections.audit.leaks:LeaksSection",
    "imbalance": "genscope.sections.audit.imbalance:ImbalanceSection",
    "shortcuts": "genscope.sections.audit.shortcuts:ShortcutsSection",
    "bad_values": "genscope.sections.audit.bad_values:BadValuesSection",
    "difficulty": "genscope.sections.audit.difficulty:DifficultySection",
    "notions": "genscope.sections.audit.notions:NotionsSection",
    "inductive_bias": "genscope.sections.audit.inductive_bias:InductiveBiasSection",
    "label_errors": "genscope.sections.audit.label_errors:LabelErrorsSection",
    "generalizations": "genscope.sections.audit.generalizations:GeneralizationsSection",
}
"""Sections of `genscope audit`, in the order in which they run."""
