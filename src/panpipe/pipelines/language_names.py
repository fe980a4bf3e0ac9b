"""The names of languages: which codes and words mean the same one.

The rows cover the codes of mBART-50, M2M100 and NLLB-200. A language's key here is the first code of its row.
"""

from __future__ import annotations

import unicodedata
from functools import cache

__all__ = ["english_name", "is_spaced", "key_of", "script_of"]

# codes (ISO 639-1, 639-3, 639-2/B, and those of single varieties that stand for the whole) | English | its own name,
# and Korean ones of those that Korean users name most
_TABLE = """
ace | Acehnese
acm | Mesopotamian Arabic, Iraqi Arabic
acq | Ta'izzi-Adeni Arabic
aeb | Tunisian Arabic
af afr | Afrikaans
ajp | South Levantine Arabic
ak aka | Akan
am amh | Amharic | አማርኛ
apc | North Levantine Arabic, Levantine Arabic
ar ara arb | Arabic, Modern Standard Arabic | العربية, 아랍어
ars | Najdi Arabic
ary | Moroccan Arabic
arz | Egyptian Arabic
as asm | Assamese | অসমীয়া
ast | Asturian | asturianu
awa | Awadhi
ay aym ayr | Aymara, Central Aymara
az aze azj | Azerbaijani, North Azerbaijani | azərbaycanca
azb | South Azerbaijani
ba bak | Bashkir
ban | Balinese
be bel | Belarusian | беларуская
bem | Bemba
bg bul | Bulgarian | български
bho | Bhojpuri
bjn | Banjar
bm bam | Bambara
bn ben | Bengali, Bangla | বাংলা
bo bod tib | Tibetan | བོད་སྐད་
br bre | Breton | brezhoneg
bs bos | Bosnian | bosanski
bug | Buginese
ca cat | Catalan, Valencian | català
ceb | Cebuano
cjk | Chokwe
ckb | Central Kurdish, Sorani
crh | Crimean Tatar
cs ces cze | Czech | čeština
cy cym wel | Welsh | Cymraeg
da dan | Danish | dansk
de deu ger | German | Deutsch, 독일어
dik | Dinka, Southwestern Dinka
dyu | Dyula
dz dzo | Dzongkha
ee ewe | Ewe
el ell gre | Greek | Ελληνικά
en eng | English | 영어
eo epo | Esperanto
es spa | Spanish, Castilian | español, 스페인어, 에스파냐어
et est ekk | Estonian | eesti
eu eus baq | Basque | euskara
fa fas per pes | Persian, Farsi, Western Persian | فارسی
ff ful fuv | Fulah, Fula, Nigerian Fulfulde
fi fin | Finnish | suomi
fj fij | Fijian
fo fao | Faroese | føroyskt
fon | Fon
fr fra fre | French | français, 프랑스어, 불어
fur | Friulian
fy fry | Western Frisian, Frisian
ga gle | Irish | Gaeilge
gd gla | Scottish Gaelic, Gaelic | Gàidhlig
gl glg | Galician | galego
gn grn | Guarani
gu guj | Gujarati | ગુજરાતી
ha hau | Hausa
he heb iw | Hebrew | עברית
hi hin | Hindi | हिन्दी, 힌디어
hne | Chhattisgarhi
hr hrv | Croatian | hrvatski
ht hat | Haitian Creole, Haitian
hu hun | Hungarian | magyar
hy hye arm | Armenian | հայերեն
id ind | Indonesian | Bahasa Indonesia, 인도네시아어
ig ibo | Igbo
ilo | Iloko, Ilocano
is isl ice | Icelandic | íslenska
it ita | Italian | italiano, 이탈리아어
ja jpn jap | Japanese | 日本語, 일본어
jv jav | Javanese
ka kat geo | Georgian | ქართული
kab | Kabyle
kac | Jingpho, Kachin
kam | Kamba
kbp | Kabiye
kea | Kabuverdianu, Cape Verdean Creole
kg kon | Kongo, Kikongo
ki kik | Kikuyu
kk kaz | Kazakh | қазақ тілі
km khm | Khmer, Central Khmer | ខ្មែរ, 크메르어, 캄보디아어
kmb | Kimbundu
kn kan | Kannada | ಕನ್ನಡ
ko kor | Korean | 한국어, 한국말, 조선말
kr kau knc | Kanuri, Central Kanuri
ks kas | Kashmiri
ku kur kmr | Kurdish, Northern Kurdish, Kurmanji
ky kir | Kyrgyz
lb ltz | Luxembourgish | Lëtzebuergesch
lg lug | Ganda, Luganda
li lim | Limburgish
lij | Ligurian
lmo | Lombard
ln lin | Lingala
lo lao | Lao | ລາວ
lt lit | Lithuanian | lietuvių
ltg | Latgalian
lua | Luba-Kasai
luo | Luo
lus | Mizo
lv lav lvs | Latvian, Standard Latvian | latviešu
mag | Magahi
mai | Maithili
mg mlg plt | Malagasy, Plateau Malagasy
mi mri mao | Maori | te reo Māori
min | Minangkabau
mk mkd mac | Macedonian | македонски
ml mal | Malayalam | മലയാളം
mn mon khk | Mongolian, Halh Mongolian | монгол, 몽골어
mni | Meitei, Manipuri
mos | Mossi
mr mar | Marathi | मराठी
ms msa may zsm | Malay, Standard Malay | Bahasa Melayu
mt mlt | Maltese | Malti
my mya bur | Burmese | မြန်မာ
ne nep npi | Nepali | नेपाली
nl nld dut | Dutch, Flemish | Nederlands, 네덜란드어
nn nno | Norwegian Nynorsk, Nynorsk
no nor nb nob | Norwegian, Norwegian Bokmål, Bokmål | norsk
ns nso | Northern Sotho, Sepedi
nus | Nuer
ny nya | Nyanja, Chichewa, Chewa
oc oci | Occitan | occitan
om orm gaz | Oromo, West Central Oromo
or ori ory | Odia, Oriya | ଓଡ଼ିଆ
pa pan | Punjabi, Panjabi, Eastern Panjabi | ਪੰਜਾਬੀ
pag | Pangasinan
pap | Papiamento
pl pol | Polish | polski, 폴란드어
prs | Dari
ps pus pbt | Pashto, Southern Pashto | پښتو
pt por | Portuguese | português, 포르투갈어
qu que quy | Quechua, Ayacucho Quechua
rn run | Rundi, Kirundi
ro ron rum | Romanian, Moldavian | română
ru rus | Russian | русский, 러시아어
rw kin | Kinyarwanda
sa san | Sanskrit
sat | Santali
sc srd | Sardinian
scn | Sicilian
sd snd | Sindhi
sg sag | Sango
shn | Shan
si sin | Sinhala, Sinhalese | සිංහල
sk slk slo | Slovak | slovenčina
sl slv | Slovenian, Slovene | slovenščina
sm smo | Samoan
sn sna | Shona
so som | Somali | Soomaali
sq sqi alb als | Albanian, Tosk Albanian | shqip
sr srp | Serbian | српски
ss ssw | Swati
st sot | Southern Sotho, Sesotho
su sun | Sundanese
sv swe | Swedish | svenska
sw swa swh | Swahili | Kiswahili
szl | Silesian
ta tam | Tamil | தமிழ்
taq | Tamasheq
te tel | Telugu | తెలుగు
tg tgk | Tajik | тоҷикӣ
th tha | Thai | ไทย, ภาษาไทย, 태국어
ti tir | Tigrinya
tk tuk | Turkmen
tl tgl fil | Tagalog, Filipino
tn tsn | Tswana
tpi | Tok Pisin
tr tur | Turkish | Türkçe, 튀르키예어, 터키어
ts tso | Tsonga
tt tat | Tatar
tum | Tumbuka
tw twi | Twi
tzm | Central Atlas Tamazight, Tamazight
ug uig | Uyghur
uk ukr | Ukrainian | українська, 우크라이나어
umb | Umbundu
ur urd | Urdu | اردو
uz uzb uzn | Uzbek, Northern Uzbek | oʻzbekcha
vec | Venetian
vi vie | Vietnamese | Tiếng Việt, 베트남어
war | Waray
wo wol | Wolof
xh xho | Xhosa
yi yid ydd | Yiddish, Eastern Yiddish
yo yor | Yoruba
yue | Cantonese, Yue Chinese | 粵語, 廣東話
zh zho chi cmn | Chinese, Mandarin | 中文, 汉语, 漢語, 중국어
zu zul | Zulu
"""

_WITH_SCRIPT = {  # names that say the script too
    "simplified chinese": ("zh", "hans"),
    "traditional chinese": ("zh", "hant"),
    "chinese (simplified)": ("zh", "hans"),
    "chinese (traditional)": ("zh", "hant"),
    "简体中文": ("zh", "hans"),
    "繁體中文": ("zh", "hant"),
}
_USUAL_SCRIPT = {"zh": "hans", "ks": "arab"}  # where a language has several and none is named; else Latin
_REGION_SCRIPT = {"tw": "hant", "hk": "hant", "mo": "hant", "cn": "hans", "sg": "hans"}
_UNSPACED = frozenset({"bo", "dz", "ja", "km", "lo", "my", "shn", "th", "yue", "zh"})


def key_of(word: str) -> str | None:
    """The key of the language that a code (`kor`, `kor_Hang`, `ko-KR`) or name (`Korean`, `한국어`) means, or None."""
    word = _folded(word)
    if word in _WITH_SCRIPT:
        return _WITH_SCRIPT[word][0]
    known = _keys()
    return known.get(word) or known.get(word.replace("-", "_").partition("_")[0])


def script_of(word: str, key: str) -> tuple[str, bool]:
    """(the script, in lower case, that a code or name means of the language; whether it says so itself)."""
    word = _folded(word)
    if word in _WITH_SCRIPT:
        return _WITH_SCRIPT[word][1], True
    for part in word.replace("-", "_").split("_")[1:]:
        if len(part) == 4 and part.isalpha():
            return part, True
        if key == "zh" and part in _REGION_SCRIPT:
            return _REGION_SCRIPT[part], True
    return _USUAL_SCRIPT.get(key, "latn"), False


def english_name(key: str) -> str:
    """`Korean` of `ko`; the key itself where the table lacks it."""
    return _english().get(key, key)


def is_spaced(key: str | None) -> bool:
    """Whether the language puts spaces between sentences."""
    return key not in _UNSPACED


@cache
def _rows() -> list[tuple[list[str], list[str]]]:
    """(codes, names) of each language."""
    rows = []
    for line in _TABLE.strip().splitlines():
        codes, *names = line.split(" | ")
        rows.append((codes.split(), [name for part in names for name in part.split(", ")]))
    return rows


@cache
def _keys() -> dict[str, str]:
    return {_folded(word): codes[0] for codes, names in _rows() for word in (*codes, *names)}


@cache
def _english() -> dict[str, str]:
    return {codes[0]: names[0] for codes, names in _rows()}


def _folded(word: str) -> str:
    return unicodedata.normalize("NFC", word).strip().casefold()
