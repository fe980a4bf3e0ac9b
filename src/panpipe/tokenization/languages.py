"""Languages of translation models: their codes, and where a language's token stands around a text.

mBART writes `text </s> ko_KR`, mBART-50, M2M100 and NLLB write a language first: `kor_Hang text </s>`. A checkpoint's
codes are those of its class that are in its vocabulary, and what else it names as additional special tokens.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

from tokenizers import Tokenizer as RustTokenizer
from tokenizers import processors

from ..errors import InvalidArgument, TokenizerError, did_you_mean

__all__ = [
    "M2M100",
    "MBART",
    "MBART50",
    "NLLB",
    "Around",
    "Languages",
    "language_template",
    "mbart50_settings",
    "mbart_settings",
    "nllb_settings",
    "set_around",
]

Settings = Mapping[str, Any]
_ADDITIONAL = "additional_special_tokens"
_SHOWN = 40  # codes in an error


class Around(NamedTuple):
    """The tokens before and after a text (or pair), with their ids."""

    before: tuple[tuple[str, int], ...]
    after: tuple[tuple[str, int], ...]


@dataclass(frozen=True)
class Languages:
    """What a class knows of languages.

    codes: of the class, in the order of their ids; by the setting `language_codes` where a class has several lists.
    first: the source language where none is named.   token: of a code.   is_first: whether it stands before the text.
    """

    codes: Mapping[str, tuple[str, ...]]
    first: str
    token: str = "{}"
    is_first: Callable[[Settings], bool] = lambda settings: True

    def ids(self, settings: Settings, rust: RustTokenizer) -> dict[str, int]:
        """Code → id, of the languages in the vocabulary."""
        named = (str(token) for token in settings.get(_ADDITIONAL) or ())
        before, after = self.token.split("{}")
        more = [
            token[len(before) : len(token) - len(after)]
            for token in named
            if re.fullmatch(rf"{before}[A-Za-z]\w*{after}", token)
        ]
        found = {code: rust.token_to_id(self.token.format(code)) for code in (*self.of_class(settings), *more)}
        return {code: index for code, index in found.items() if index is not None}

    def of_class(self, settings: Settings) -> tuple[str, ...]:
        """The codes that the class has by itself.   Raises TokenizerError."""
        which = settings.get("language_codes", next(iter(self.codes)))
        if which not in self.codes:
            raise TokenizerError(f"language_codes is {which!r:.60}; there are {', '.join(self.codes)}.")
        return self.codes[which]

    def around(self, code: str, settings: Settings, rust: RustTokenizer) -> Around:
        """What is put around a text in a language.   Raises InvalidArgument for one that is not known."""
        known = self.ids(settings, rust)
        self.check(code, known)
        eos = str(settings["eos_token"])
        eos_id = rust.token_to_id(eos)
        if eos_id is None:
            raise TokenizerError(f"the vocabulary lacks the special token {eos!r:.60}.")
        language, end = (self.token.format(code), known[code]), (eos, eos_id)
        return Around((language,), (end,)) if self.is_first(settings) else Around((), (end, language))

    @staticmethod
    def check(code: Any, known: Iterable[str]) -> None:
        """Raises InvalidArgument for a language that is none of the tokenizer's."""
        known = list(known)
        if code in known:
            return
        shown = ", ".join(known[:_SHOWN]) + (f" and {len(known) - _SHOWN} more" if len(known) > _SHOWN else "")
        near = did_you_mean(str(code), known)
        raise InvalidArgument(f"{code!r:.60} is no language of this tokenizer.{near} Its codes: {shown}.")


def set_around(tokenizer: RustTokenizer, around: Around) -> None:
    """Have the Rust tokenizer put these tokens around a text."""
    before, after = [token for token, _ in around.before], [token for token, _ in around.after]
    tokenizer.post_processor = processors.TemplateProcessing(
        single=[*before, "$A", *after],
        pair=[*before, "$A", "$B", *after],
        special_tokens=list({*around.before, *around.after}),
    )


def language_template(languages: Languages) -> Callable[[RustTokenizer, Settings], None]:
    """The template of a text in the source language that the settings name."""

    def set_template(tokenizer: RustTokenizer, settings: Settings) -> None:
        code, known = settings.get("src_lang") or languages.first, languages.ids(settings, tokenizer)
        if not known:
            raise TokenizerError(f"no language's token ({languages.token.format(languages.first)} …) is in it.")
        if code not in known and not settings.get("src_lang"):
            code = next(iter(known))  # the class's own first is not in this vocabulary
        try:
            around = languages.around(code, settings, tokenizer)
        except InvalidArgument as error:
            raise TokenizerError(f"src_lang: {error}") from None
        set_around(tokenizer, around)

    return set_template


def _codes(text: str) -> tuple[str, ...]:
    return tuple(text.split())


_MBART = _codes(
    """
    ar_AR cs_CZ de_DE en_XX es_XX et_EE fi_FI fr_XX gu_IN hi_IN it_IT ja_XX kk_KZ ko_KR lt_LT lv_LV my_MM ne_NP
    nl_XX ro_RO ru_RU si_LK tr_TR vi_VN zh_CN
    """
)
_MORE_IN_MBART50 = _codes(
    """
    af_ZA az_AZ bn_IN fa_IR he_IL hr_HR id_ID ka_GE km_KH mk_MK ml_IN mn_MN mr_IN pl_PL ps_AF pt_XX sv_SE sw_KE
    ta_IN te_IN th_TH tl_XX uk_UA ur_PK xh_ZA gl_ES sl_SI
    """
)
_M2M100 = _codes(
    """
    af am ar ast az ba be bg bn br bs ca ceb cs cy da de el en es et fa ff fi fr fy ga gd gl gu ha he hi hr ht hu
    hy id ig ilo is it ja jv ka kk km kn ko lb lg ln lo lt lv mg mk ml mn mr ms my ne nl no ns oc or pa pl ps pt
    ro ru sd si sk sl so sq sr ss su sv sw ta th tl tn tr uk ur uz vi wo xh yi yo zh zu
    """
)
_NLLB = _codes(
    """
    ace_Arab ace_Latn acm_Arab acq_Arab aeb_Arab afr_Latn ajp_Arab aka_Latn amh_Ethi apc_Arab arb_Arab ars_Arab
    ary_Arab arz_Arab asm_Beng ast_Latn awa_Deva ayr_Latn azb_Arab azj_Latn bak_Cyrl bam_Latn ban_Latn bel_Cyrl
    bem_Latn ben_Beng bho_Deva bjn_Arab bjn_Latn bod_Tibt bos_Latn bug_Latn bul_Cyrl cat_Latn ceb_Latn ces_Latn
    cjk_Latn ckb_Arab crh_Latn cym_Latn dan_Latn deu_Latn dik_Latn dyu_Latn dzo_Tibt ell_Grek eng_Latn epo_Latn
    est_Latn eus_Latn ewe_Latn fao_Latn pes_Arab fij_Latn fin_Latn fon_Latn fra_Latn fur_Latn fuv_Latn gla_Latn
    gle_Latn glg_Latn grn_Latn guj_Gujr hat_Latn hau_Latn heb_Hebr hin_Deva hne_Deva hrv_Latn hun_Latn hye_Armn
    ibo_Latn ilo_Latn ind_Latn isl_Latn ita_Latn jav_Latn jpn_Jpan kab_Latn kac_Latn kam_Latn kan_Knda kas_Arab
    kas_Deva kat_Geor knc_Arab knc_Latn kaz_Cyrl kbp_Latn kea_Latn khm_Khmr kik_Latn kin_Latn kir_Cyrl kmb_Latn
    kon_Latn kor_Hang kmr_Latn lao_Laoo lvs_Latn lij_Latn lim_Latn lin_Latn lit_Latn lmo_Latn ltg_Latn ltz_Latn
    lua_Latn lug_Latn luo_Latn lus_Latn mag_Deva mai_Deva mal_Mlym mar_Deva min_Latn mkd_Cyrl plt_Latn mlt_Latn
    mni_Beng khk_Cyrl mos_Latn mri_Latn zsm_Latn mya_Mymr nld_Latn nno_Latn nob_Latn npi_Deva nso_Latn nus_Latn
    nya_Latn oci_Latn gaz_Latn ory_Orya pag_Latn pan_Guru pap_Latn pol_Latn por_Latn prs_Arab pbt_Arab quy_Latn
    ron_Latn run_Latn rus_Cyrl sag_Latn san_Deva sat_Beng scn_Latn shn_Mymr sin_Sinh slk_Latn slv_Latn smo_Latn
    sna_Latn snd_Arab som_Latn sot_Latn spa_Latn als_Latn srd_Latn srp_Cyrl ssw_Latn sun_Latn swe_Latn swh_Latn
    szl_Latn tam_Taml tat_Cyrl tel_Telu tgk_Cyrl tgl_Latn tha_Thai tir_Ethi taq_Latn taq_Tfng tpi_Latn tsn_Latn
    tso_Latn tuk_Latn tum_Latn tur_Latn twi_Latn tzm_Tfng uig_Arab ukr_Cyrl umb_Latn urd_Arab uzn_Latn vec_Latn
    vie_Latn war_Latn wol_Latn xho_Latn ydd_Hebr yor_Latn yue_Hant zho_Hans zho_Hant zul_Latn
    """
)

MBART = Languages({"mbart": _MBART}, "en_XX", is_first=lambda settings: False)
MBART50 = Languages({"mbart50": _MBART + _MORE_IN_MBART50}, "en_XX")
M2M100 = Languages({"m2m100": _M2M100, "wmt21": _codes("en ha is ja cs ru zh de")}, "en", token="__{}__")
NLLB = Languages({"nllb": _NLLB}, "eng_Latn", is_first=lambda settings: not settings.get("legacy_behaviour"))


def mbart_settings(settings: dict[str, Any]) -> None:
    """mBART's languages are additional special tokens, before those that the files name."""
    given = settings.get(_ADDITIONAL) or []
    settings[_ADDITIONAL] = [*_MBART, *(token for token in given if str(token) not in _MBART)]


def mbart50_settings(settings: dict[str, Any]) -> None:
    """mBART-50's languages are additional special tokens, after those that the files name."""
    given = list(settings.get(_ADDITIONAL) or [])
    contents = {str(token) for token in given}
    settings[_ADDITIONAL] = given + [code for code in MBART50.codes["mbart50"] if code not in contents]


def nllb_settings(settings: dict[str, Any]) -> None:
    """NLLB's languages are additional special tokens, unless the files name their own."""
    if settings.get(_ADDITIONAL) is None:
        settings[_ADDITIONAL] = list(_NLLB)
