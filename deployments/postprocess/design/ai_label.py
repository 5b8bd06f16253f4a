"""The words that mark a picture as made by a model, in the language of its copy."""

from collections.abc import Mapping
from types import MappingProxyType

from deployments.postprocess.typesetting import fonts, is_traditional

ENGLISH = "AI-generated image"
AI_LABELS: Mapping[str, str] = MappingProxyType(
    {
        "ar": "صورة مولَّدة بالذكاء الاصطناعي",
        "bg": "Изображение, създадено с ИИ",
        "bn": "এআই দ্বারা তৈরি ছবি",
        "ca": "Imatge generada per IA",
        "cs": "Obrázek vytvořený AI",
        "da": "AI-genereret billede",
        "de": "KI-generiertes Bild",
        "el": "Εικόνα δημιουργημένη με ΤΝ",
        "en": ENGLISH,
        "es": "Imagen generada por IA",
        "et": "Tehisaru loodud pilt",
        "fa": "تصویر ساخته‌شده با هوش مصنوعی",
        "fi": "Tekoälyn luoma kuva",
        "fil": "Larawang gawa ng AI",
        "fr": "Image générée par IA",
        "gu": "AI દ્વારા બનાવેલી છબી",
        "he": "תמונה שנוצרה בבינה מלאכותית",
        "hi": "एआई द्वारा बनाई गई छवि",
        "hr": "Slika generirana AI-jem",
        "hu": "MI által generált kép",
        "id": "Gambar buatan AI",
        "it": "Immagine generata dall’IA",
        "ja": "AI生成画像",
        "km": "រូបភាពបង្កើតដោយ AI",
        "ko": "AI 생성 이미지",
        "lt": "DI sukurtas vaizdas",
        "lv": "MI radīts attēls",
        "mr": "एआयने तयार केलेली प्रतिमा",
        "ms": "Imej janaan AI",
        "nb": "AI-generert bilde",
        "nl": "AI-gegenereerde afbeelding",
        "no": "AI-generert bilde",
        "pl": "Obraz wygenerowany przez AI",
        "pt": "Imagem gerada por IA",
        "ro": "Imagine generată de IA",
        "ru": "Изображение создано ИИ",
        "sk": "Obrázok vytvorený AI",
        "sl": "Slika, ustvarjena z UI",
        "sr": "Слика направљена помоћу ВИ",
        "sv": "AI-genererad bild",
        "ta": "AI உருவாக்கிய படம்",
        "te": "AI రూపొందించిన చిత్రం",
        "th": "ภาพที่สร้างโดย AI",
        "tr": "Yapay zekâ ile üretilmiş görsel",
        "uk": "Зображення створене ШІ",
        "ur": "مصنوعی ذہانت سے بنی تصویر",
        "vi": "Hình ảnh do AI tạo",
        "zh-hans": "AI 生成图片",
        "zh-hant": "AI 生成圖片",
    }
)


def ai_label_words(lang: str) -> str:
    """The label in the language of a BCP 47 tag; in English where we have no words for it."""
    tag = lang.lower()
    if tag.split("-")[0] == "zh":
        return AI_LABELS["zh-hant" if is_traditional(tag) else "zh-hans"]
    return AI_LABELS.get(tag.split("-")[0], ENGLISH)


def drawable_ai_label(lang: str) -> str:
    """The same, in English too where a face for it is missing."""
    words = ai_label_words(lang)
    return ENGLISH if fonts.missing(words, fonts.order(words, lang)) else words
