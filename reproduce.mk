# The paper's tables, command by command: `make reproduce-table1`. docs/reproduce.md tells of each.
# What is done already is skipped, so the same target can be made again after anything.
SCALE ?= paper
# More words for every command, and for those alone that train models or let them speak, such as cluster=slurm:
WORDS ?=
ON_GPUS ?=
DO := $(BIN)/thinkus

ifeq ($(SCALE),paper)
ROOT ?= outputs
FROM_LMSYS := data=lmsys
FROM_WILDCHAT := data=wildchat
ON_WILDCHAT := eval=wildchat
LMSYS := lmsys
WILDCHAT := wildchat
BASE := llama8b
INSTRUCT := llama8b_instruct
QWEN8 := qwen3_8b
QWEN4 := qwen3_4b
# Ours: which conversations the paper drew is not published, but its test set has 5.6 user turns each, the corpus 2.0.
TURNS ?= 3
CHOSEN := filters.min_user_turns=$(TURNS)
ANNOTATOR ?= deepseek_v3
JUDGE ?= deepseek_v3
PAIRWISE := $(JUDGE)
GOALS := $(JUDGE)
TAUGHT := $(ON_GPUS)
SPEAKING := $(ON_GPUS)
ROW = experiment=$1
else ifneq ($(filter $(SCALE),demo tiny),)
# The same commands on the shipped sample, whose one half stands for LMSYS and the other for WildChat, with one
# model in all places.
MODEL := $(if $(filter demo,$(SCALE)),gemma270m,tiny)
ROOT ?= outputs/reproduce-$(SCALE)
FROM_LMSYS := data=sample data.train=$(if $(filter demo,$(SCALE)),40,8) data.test=4
FROM_WILDCHAT := data=sample data.name=sample_rest data.train=0 data.test=4
ON_WILDCHAT := eval=sample eval.name=sample_rest
LMSYS := sample
WILDCHAT := sample_rest
BASE := $(MODEL)
INSTRUCT := $(MODEL)
QWEN8 := $(MODEL)
QWEN4 := $(MODEL)
ANNOTATOR := recorded
JUDGE := hf
PAIRWISE := embedding
GOALS := recorded
JUDGING := judge.model=$(MODEL)
DRAWING := experiment=$(SCALE)
TAUGHT := model=$(MODEL) data=sample
SPEAKING := $(TAUGHT)$(if $(filter demo,$(SCALE)), limit=2) user=hf assistant=scripted classifier=hf
ROW = experiment=[$1,$(SCALE)]
else
$(error SCALE=$(SCALE): is none of paper, demo, tiny)
endif

# The runs of sft, and those of simulate less their corpus and mode: at the paper's scale under their usual names.
PROMPT := prompt-$(INSTRUCT)
PROMPT_THINKING := prompt_thinking-$(INSTRUCT)
UTTERANCE := utterance_sft-$(INSTRUCT)-$(LMSYS)
ON_INSTRUCT := thinkingus-$(INSTRUCT)-$(LMSYS)
ON_BASE := thinkingus-$(BASE)-$(LMSYS)
ENDING := ending-$(BASE)-$(LMSYS)
QWEN8_UTTERANCE := utterance_sft-$(QWEN8)-$(LMSYS)
QWEN8_THINKING := thinkingus-$(QWEN8)-$(LMSYS)
QWEN4_UTTERANCE := utterance_sft-$(QWEN4)-$(LMSYS)
QWEN4_THINKING := thinkingus-$(QWEN4)-$(LMSYS)
ALL = root=$(ROOT)$(if $(WORDS), $(WORDS))
LIST = [$(subst $(space),$(comma),$(strip $1))]


# What all tables read.
define corpora
$(DO) prepare $(FROM_LMSYS) name=$(LMSYS) $(CHOSEN) $(ALL)
$(DO) prepare $(FROM_WILDCHAT) against=$(LMSYS) name=$(WILDCHAT) $(ALL)
$(DO) annotate $(FROM_LMSYS) annotator=$(ANNOTATOR) name=$(LMSYS) $(ALL)
$(DO) annotate $(FROM_WILDCHAT) scenario_only=true annotator=$(ANNOTATOR) name=$(WILDCHAT) $(ALL)
endef

define llamas
$(DO) sft $(call ROW,table1_utterance_sft) name=$(UTTERANCE) $(TAUGHT) $(ALL)
$(DO) sft $(call ROW,table1_thinkingus_instruct) name=$(ON_INSTRUCT) $(TAUGHT) $(ALL)
$(DO) sft $(call ROW,table1_thinkingus_base) name=$(ON_BASE) $(TAUGHT) $(ALL)
endef

define prompted
$(DO) simulate $(call ROW,table1_prompt) eval=$(LMSYS) name=$(PROMPT).$(LMSYS).offline $(SPEAKING) $(ALL)
$(DO) simulate $(call ROW,table1_prompt) $(ON_WILDCHAT) name=$(PROMPT).$(WILDCHAT).offline $(SPEAKING) $(ALL)
endef

define table1
$(corpora)
$(llamas)
$(prompted)
$(DO) simulate $(call ROW,table1_utterance_sft) eval=$(LMSYS) name=$(UTTERANCE).$(LMSYS).offline $(SPEAKING) $(ALL)
$(DO) simulate $(call ROW,table1_utterance_sft) $(ON_WILDCHAT) name=$(UTTERANCE).$(WILDCHAT).offline $(SPEAKING) $(ALL)
$(DO) simulate $(call ROW,table1_prompt_thinking) eval=$(LMSYS) name=$(PROMPT_THINKING).$(LMSYS).offline $(SPEAKING) $(ALL)
$(DO) simulate $(call ROW,table1_prompt_thinking) $(ON_WILDCHAT) name=$(PROMPT_THINKING).$(WILDCHAT).offline $(SPEAKING) $(ALL)
$(DO) simulate $(call ROW,table1_thinkingus_instruct) eval=$(LMSYS) name=$(ON_INSTRUCT).$(LMSYS).offline $(SPEAKING) $(ALL)
$(DO) simulate $(call ROW,table1_thinkingus_instruct) $(ON_WILDCHAT) name=$(ON_INSTRUCT).$(WILDCHAT).offline $(SPEAKING) $(ALL)
$(DO) simulate $(call ROW,table1_thinkingus_base) eval=$(LMSYS) name=$(ON_BASE).$(LMSYS).offline $(SPEAKING) $(ALL)
$(DO) simulate $(call ROW,table1_thinkingus_base) $(ON_WILDCHAT) name=$(ON_BASE).$(WILDCHAT).offline $(SPEAKING) $(ALL)
$(DO) judge name=pairwise.$(UTTERANCE).$(LMSYS).$(PAIRWISE) task=pairwise candidate=$(UTTERANCE).$(LMSYS).offline baseline=$(PROMPT).$(LMSYS).offline judge=$(PAIRWISE) $(ALL)
$(DO) judge name=pairwise.$(UTTERANCE).$(WILDCHAT).$(PAIRWISE) task=pairwise candidate=$(UTTERANCE).$(WILDCHAT).offline baseline=$(PROMPT).$(WILDCHAT).offline judge=$(PAIRWISE) $(ALL)
$(DO) judge name=pairwise.$(PROMPT_THINKING).$(LMSYS).$(PAIRWISE) task=pairwise candidate=$(PROMPT_THINKING).$(LMSYS).offline baseline=$(PROMPT).$(LMSYS).offline judge=$(PAIRWISE) $(ALL)
$(DO) judge name=pairwise.$(PROMPT_THINKING).$(WILDCHAT).$(PAIRWISE) task=pairwise candidate=$(PROMPT_THINKING).$(WILDCHAT).offline baseline=$(PROMPT).$(WILDCHAT).offline judge=$(PAIRWISE) $(ALL)
$(DO) judge name=pairwise.$(ON_INSTRUCT).$(LMSYS).$(PAIRWISE) task=pairwise candidate=$(ON_INSTRUCT).$(LMSYS).offline baseline=$(PROMPT).$(LMSYS).offline judge=$(PAIRWISE) $(ALL)
$(DO) judge name=pairwise.$(ON_INSTRUCT).$(WILDCHAT).$(PAIRWISE) task=pairwise candidate=$(ON_INSTRUCT).$(WILDCHAT).offline baseline=$(PROMPT).$(WILDCHAT).offline judge=$(PAIRWISE) $(ALL)
$(DO) judge name=pairwise.$(ON_BASE).$(LMSYS).$(PAIRWISE) task=pairwise candidate=$(ON_BASE).$(LMSYS).offline baseline=$(PROMPT).$(LMSYS).offline judge=$(PAIRWISE) $(ALL)
$(DO) judge name=pairwise.$(ON_BASE).$(WILDCHAT).$(PAIRWISE) task=pairwise candidate=$(ON_BASE).$(WILDCHAT).offline baseline=$(PROMPT).$(WILDCHAT).offline judge=$(PAIRWISE) $(ALL)
$(DO) report name=table1 'input=$(call LIST,$(foreach run,$(UTTERANCE) $(PROMPT_THINKING) $(ON_INSTRUCT) $(ON_BASE),pairwise.$(run).$(LMSYS).$(PAIRWISE)) $(foreach run,$(UTTERANCE) $(PROMPT_THINKING) $(ON_INSTRUCT) $(ON_BASE),pairwise.$(run).$(WILDCHAT).$(PAIRWISE)))' $(ALL)
endef

define table2
$(corpora)
$(DO) sft $(call ROW,table1_thinkingus_instruct) name=$(ON_INSTRUCT) $(TAUGHT) $(ALL)
$(DO) sft $(call ROW,table1_thinkingus_base) name=$(ON_BASE) $(TAUGHT) $(ALL)
$(DO) simulate $(call ROW,table2_prompt_thinking) eval=$(LMSYS) name=$(PROMPT_THINKING).$(LMSYS).offline $(SPEAKING) $(ALL)
$(DO) simulate $(call ROW,table2_thinkingus_instruct) eval=$(LMSYS) name=$(ON_INSTRUCT).$(LMSYS).offline $(SPEAKING) $(ALL)
$(DO) simulate $(call ROW,table2_thinkingus_base) eval=$(LMSYS) name=$(ON_BASE).$(LMSYS).offline $(SPEAKING) $(ALL)
$(DO) judge name=terminal.$(PROMPT_THINKING).$(LMSYS).$(JUDGE) task=terminal candidate=$(PROMPT_THINKING).$(LMSYS).offline judge=$(JUDGE) $(JUDGING) $(ALL)
$(DO) judge name=terminal.$(ON_INSTRUCT).$(LMSYS).$(JUDGE) task=terminal candidate=$(ON_INSTRUCT).$(LMSYS).offline judge=$(JUDGE) $(JUDGING) $(ALL)
$(DO) judge name=terminal.$(ON_BASE).$(LMSYS).$(JUDGE) task=terminal candidate=$(ON_BASE).$(LMSYS).offline judge=$(JUDGE) $(JUDGING) $(ALL)
$(DO) report name=table2 'input=$(call LIST,$(foreach run,$(PROMPT_THINKING) $(ON_INSTRUCT) $(ON_BASE),terminal.$(run).$(LMSYS).$(JUDGE)))' $(ALL)
endef

define table4
$(corpora)
$(llamas)
$(DO) sft $(call ROW,table4_ending) name=$(ENDING) $(TAUGHT) $(ALL)
$(DO) simulate $(call ROW,table4_utterance_sft) eval=$(LMSYS) name=$(UTTERANCE).$(LMSYS).online ending=classifier ending_run=$(ENDING) $(SPEAKING) $(ALL)
$(DO) simulate $(call ROW,table4_utterance_sft) $(ON_WILDCHAT) name=$(UTTERANCE).$(WILDCHAT).online ending=classifier ending_run=$(ENDING) $(SPEAKING) $(ALL)
$(DO) simulate $(call ROW,table4_thinkingus_instruct) eval=$(LMSYS) name=$(ON_INSTRUCT).$(LMSYS).online ending=classifier ending_run=$(ENDING) $(SPEAKING) $(ALL)
$(DO) simulate $(call ROW,table4_thinkingus_instruct) $(ON_WILDCHAT) name=$(ON_INSTRUCT).$(WILDCHAT).online ending=classifier ending_run=$(ENDING) $(SPEAKING) $(ALL)
$(DO) simulate $(call ROW,table4_thinkingus_base) eval=$(LMSYS) name=$(ON_BASE).$(LMSYS).online ending=classifier ending_run=$(ENDING) $(SPEAKING) $(ALL)
$(DO) simulate $(call ROW,table4_thinkingus_base) $(ON_WILDCHAT) name=$(ON_BASE).$(WILDCHAT).online ending=classifier ending_run=$(ENDING) $(SPEAKING) $(ALL)
$(DO) judge name=goals.$(LMSYS).$(GOALS) task=goals eval=$(LMSYS) judge=$(GOALS) $(DRAWING) $(ALL)
$(DO) judge name=goals.$(WILDCHAT).$(GOALS) task=goals $(ON_WILDCHAT) judge=$(GOALS) $(DRAWING) $(ALL)
$(DO) judge name=online.$(UTTERANCE).$(LMSYS).$(JUDGE) task=online candidate=$(UTTERANCE).$(LMSYS).online goals=goals.$(LMSYS).$(GOALS) judge=$(JUDGE) $(JUDGING) $(ALL)
$(DO) judge name=online.$(UTTERANCE).$(WILDCHAT).$(JUDGE) task=online candidate=$(UTTERANCE).$(WILDCHAT).online goals=goals.$(WILDCHAT).$(GOALS) judge=$(JUDGE) $(JUDGING) $(ALL)
$(DO) judge name=online.$(ON_INSTRUCT).$(LMSYS).$(JUDGE) task=online candidate=$(ON_INSTRUCT).$(LMSYS).online goals=goals.$(LMSYS).$(GOALS) judge=$(JUDGE) $(JUDGING) $(ALL)
$(DO) judge name=online.$(ON_INSTRUCT).$(WILDCHAT).$(JUDGE) task=online candidate=$(ON_INSTRUCT).$(WILDCHAT).online goals=goals.$(WILDCHAT).$(GOALS) judge=$(JUDGE) $(JUDGING) $(ALL)
$(DO) judge name=online.$(ON_BASE).$(LMSYS).$(JUDGE) task=online candidate=$(ON_BASE).$(LMSYS).online goals=goals.$(LMSYS).$(GOALS) judge=$(JUDGE) $(JUDGING) $(ALL)
$(DO) judge name=online.$(ON_BASE).$(WILDCHAT).$(JUDGE) task=online candidate=$(ON_BASE).$(WILDCHAT).online goals=goals.$(WILDCHAT).$(GOALS) judge=$(JUDGE) $(JUDGING) $(ALL)
$(DO) report name=table4 'input=$(call LIST,$(foreach run,$(UTTERANCE) $(ON_INSTRUCT) $(ON_BASE),online.$(run).$(LMSYS).$(JUDGE)) $(foreach run,$(UTTERANCE) $(ON_INSTRUCT) $(ON_BASE),online.$(run).$(WILDCHAT).$(JUDGE)))' $(ALL)
endef

define table5
$(corpora)
$(DO) sft $(call ROW,table5_qwen3_8b_utterance_sft) name=$(QWEN8_UTTERANCE) $(TAUGHT) $(ALL)
$(DO) sft $(call ROW,table5_qwen3_8b_thinkingus) name=$(QWEN8_THINKING) $(TAUGHT) $(ALL)
$(DO) sft $(call ROW,table5_qwen3_4b_utterance_sft) name=$(QWEN4_UTTERANCE) $(TAUGHT) $(ALL)
$(DO) sft $(call ROW,table5_qwen3_4b_thinkingus) name=$(QWEN4_THINKING) $(TAUGHT) $(ALL)
$(prompted)
$(DO) simulate $(call ROW,table5_qwen3_8b_utterance_sft) eval=$(LMSYS) name=$(QWEN8_UTTERANCE).$(LMSYS).offline $(SPEAKING) $(ALL)
$(DO) simulate $(call ROW,table5_qwen3_8b_utterance_sft) $(ON_WILDCHAT) name=$(QWEN8_UTTERANCE).$(WILDCHAT).offline $(SPEAKING) $(ALL)
$(DO) simulate $(call ROW,table5_qwen3_8b_thinkingus) eval=$(LMSYS) name=$(QWEN8_THINKING).$(LMSYS).offline $(SPEAKING) $(ALL)
$(DO) simulate $(call ROW,table5_qwen3_8b_thinkingus) $(ON_WILDCHAT) name=$(QWEN8_THINKING).$(WILDCHAT).offline $(SPEAKING) $(ALL)
$(DO) simulate $(call ROW,table5_qwen3_4b_utterance_sft) eval=$(LMSYS) name=$(QWEN4_UTTERANCE).$(LMSYS).offline $(SPEAKING) $(ALL)
$(DO) simulate $(call ROW,table5_qwen3_4b_utterance_sft) $(ON_WILDCHAT) name=$(QWEN4_UTTERANCE).$(WILDCHAT).offline $(SPEAKING) $(ALL)
$(DO) simulate $(call ROW,table5_qwen3_4b_thinkingus) eval=$(LMSYS) name=$(QWEN4_THINKING).$(LMSYS).offline $(SPEAKING) $(ALL)
$(DO) simulate $(call ROW,table5_qwen3_4b_thinkingus) $(ON_WILDCHAT) name=$(QWEN4_THINKING).$(WILDCHAT).offline $(SPEAKING) $(ALL)
$(DO) judge name=pairwise.$(QWEN8_UTTERANCE).$(LMSYS).$(PAIRWISE) task=pairwise candidate=$(QWEN8_UTTERANCE).$(LMSYS).offline baseline=$(PROMPT).$(LMSYS).offline judge=$(PAIRWISE) $(ALL)
$(DO) judge name=pairwise.$(QWEN8_UTTERANCE).$(WILDCHAT).$(PAIRWISE) task=pairwise candidate=$(QWEN8_UTTERANCE).$(WILDCHAT).offline baseline=$(PROMPT).$(WILDCHAT).offline judge=$(PAIRWISE) $(ALL)
$(DO) judge name=pairwise.$(QWEN8_THINKING).$(LMSYS).$(PAIRWISE) task=pairwise candidate=$(QWEN8_THINKING).$(LMSYS).offline baseline=$(PROMPT).$(LMSYS).offline judge=$(PAIRWISE) $(ALL)
$(DO) judge name=pairwise.$(QWEN8_THINKING).$(WILDCHAT).$(PAIRWISE) task=pairwise candidate=$(QWEN8_THINKING).$(WILDCHAT).offline baseline=$(PROMPT).$(WILDCHAT).offline judge=$(PAIRWISE) $(ALL)
$(DO) judge name=pairwise.$(QWEN4_UTTERANCE).$(LMSYS).$(PAIRWISE) task=pairwise candidate=$(QWEN4_UTTERANCE).$(LMSYS).offline baseline=$(PROMPT).$(LMSYS).offline judge=$(PAIRWISE) $(ALL)
$(DO) judge name=pairwise.$(QWEN4_UTTERANCE).$(WILDCHAT).$(PAIRWISE) task=pairwise candidate=$(QWEN4_UTTERANCE).$(WILDCHAT).offline baseline=$(PROMPT).$(WILDCHAT).offline judge=$(PAIRWISE) $(ALL)
$(DO) judge name=pairwise.$(QWEN4_THINKING).$(LMSYS).$(PAIRWISE) task=pairwise candidate=$(QWEN4_THINKING).$(LMSYS).offline baseline=$(PROMPT).$(LMSYS).offline judge=$(PAIRWISE) $(ALL)
$(DO) judge name=pairwise.$(QWEN4_THINKING).$(WILDCHAT).$(PAIRWISE) task=pairwise candidate=$(QWEN4_THINKING).$(WILDCHAT).offline baseline=$(PROMPT).$(WILDCHAT).offline judge=$(PAIRWISE) $(ALL)
$(DO) report name=table5 'input=$(call LIST,$(foreach run,$(QWEN8_UTTERANCE) $(QWEN8_THINKING) $(QWEN4_UTTERANCE) $(QWEN4_THINKING),pairwise.$(run).$(LMSYS).$(PAIRWISE)) $(foreach run,$(QWEN8_UTTERANCE) $(QWEN8_THINKING) $(QWEN4_UTTERANCE) $(QWEN4_THINKING),pairwise.$(run).$(WILDCHAT).$(PAIRWISE)))' $(ALL)
endef

export table1 table2 table4 table5

TABLES := table1 table2 table4 table5
.PHONY: $(TABLES:%=reproduce-%)

$(TABLES:%=reproduce-%): reproduce-%: setup
	@printenv $* | $(DO) doctor - || { echo "Without all that, on the shipped sample: make $@ SCALE=demo"; exit 2; }
	$($*)
