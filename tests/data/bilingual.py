"""Real text in English and Korean, the first articles of the Universal Declaration of Human Rights, as tokens."""

from itertools import chain
from pathlib import Path

from seedbed.tokenization import ByteLevelBPEConfig, WordLevelConfig
from tests.data.token_folder import write_token_folder

ENGLISH = (
    "All human beings are born free and equal in dignity and rights. They are endowed with reason and "
    "conscience and should act towards one another in a spirit of brotherhood.",
    "Everyone is entitled to all the rights and freedoms set forth in this Declaration, without distinction of "
    "any kind, such as race, colour, sex, language, religion, political or other opinion, national or social "
    "origin, property, birth or other status.",
    "Everyone has the right to life, liberty and security of person.",
    "No one shall be held in slavery or servitude; slavery and the slave trade shall be prohibited in all their "
    "forms.",
    "No one shall be subjected to torture or to cruel, inhuman or degrading treatment or punishment.",
    "Everyone has the right to recognition everywhere as a person before the law.",
    "All are equal before the law and are entitled without any discrimination to equal protection of the law.",
)
KOREAN = (
    "모든 인간은 태어날 때부터 자유로우며 그 존엄과 권리에 있어 동등하다. 인간은 천부적으로 이성과 양심을 부여받았으며 "
    "서로 형제애의 정신으로 행동하여야 한다.",
    "모든 사람은 인종, 피부색, 성, 언어, 종교, 정치적 또는 기타의 견해, 민족적 또는 사회적 출신, 재산, 출생 또는 기타의 "
    "신분과 같은 어떠한 종류의 차별이 없이, 이 선언에 규정된 모든 권리와 자유를 향유할 자격이 있다.",
    "모든 사람은 생명과 신체의 자유와 안전에 대한 권리를 가진다.",
    "어느 누구도 노예상태 또는 예속상태에 놓여지지 아니한다. 모든 형태의 노예제도와 노예매매는 금지된다.",
    "어느 누구도 고문, 또는 잔혹하거나 비인도적이거나 굴욕적인 처우 또는 형벌을 받지 아니한다.",
    "모든 사람은 어디에서나 법 앞에 인간으로서 인정받을 권리를 가진다.",
    "모든 사람은 법 앞에 평등하며 어떠한 차별도 없이 법의 동등한 보호를 받을 권리를 가진다.",
)
TEXTS = tuple(chain.from_iterable(zip(ENGLISH, KOREAN, strict=True)))


def write_tokens(folder: Path, *, vocab_size: int = 500, words: bool = False) -> Path:
    """What the tokenize stage writes; the train split is all the text, the valid split its beginning.

    `words`: whole words, for an ELMo.
    """
    config: ByteLevelBPEConfig | WordLevelConfig = (
        WordLevelConfig(name="word_level", vocab_size=vocab_size)
        if words
        else ByteLevelBPEConfig(name="byte_level_bpe", vocab_size=vocab_size)
    )
    return write_token_folder(folder, config, {"train": TEXTS, "valid": TEXTS[:6]})
