"""The pages' languages: a catalogue from English to Polish. What machines said is shown as they said it."""

from __future__ import annotations

from collections.abc import Callable

Translate = Callable[[str], str]
LANGUAGES = {"en": "English", "pl": "Polski"}

POLISH = {
    "Activity": "Dziennik",
    "Address": "Adres",
    "All": "Wszystkie",
    "All backups by command": "Wszystkie kopie poleceniem",
    "Answer": "Odpowiedź",
    "Back to the room": "Wróć do sali",
    "Backups": "Kopie zapasowe",
    "Boot": "Start",
    "Class": "Klasa",
    "Classes": "Klasy",
    "Cluster": "Klaster",
    "Crash": "Awaria",
    "Credential until": "Dostęp do",
    "Cut the power, then switch on again": "Odetnij zasilanie i włącz ponownie",
    "Detail": "Szczegóły",
    "Do it": "Wykonaj",
    "End": "Koniec",
    "Events": "Zdarzenia",
    "Files": "Pliki",
    "From": "Skąd",
    "Has": "Ma",
    "How": "Jak",
    "Image": "Obraz",
    "It can be used once.": "Można go użyć raz.",
    "Lab": "Pracownia",
    "Language": "Język",
    "Last backup": "Ostatnia kopia",
    "Last proved by a restore": "Ostatnia sprawdzona odtworzeniem",
    "Leadership": "Kto zarządza",
    "MAC address": "Adres MAC",
    "Machine": "Komputer",
    "Machines": "Komputery",
    "Main menu": "Menu główne",
    "Median of the room": "Mediana w pracowni",
    "Memory": "Pamięć",
    "Move pods away, then shut down": "Przenieś pody i wyłącz",
    "Namespace": "Przestrzeń nazw",
    "Next": "Następna",
    "No room": "Brak miejsca",
    "Nobody is signed in here": "Nikt nie jest tu zalogowany",
    "Nobody knows: the API does not answer.": "Nie wiadomo: API nie odpowiada.",
    "Node": "Węzeł",
    "Nodes": "Węzły",
    "Nodes have": "Węzły mają",
    "Nothing fails.": "Wszystko działa.",
    "Nothing here.": "Nic tu nie ma.",
    "Object": "Obiekt",
    "On its way": "W toku",
    "Only alarms": "Tylko alarmy",
    "Open the link that nodisk console or nodisk console invite printed.": (
        "Otwórz link wypisany przez polecenie nodisk console albo nodisk console invite."
    ),
    "Pods": "Pody",
    "Pods ask for": "Pody żądają",
    "Promised to classes": "Obiecane klasom",
    "Quota": "Limit",
    "RAM free": "Wolna pamięć",
    "Refused": "Odmowa",
    "Report": "Raport",
    "Reports": "Raporty",
    "Reports are made by nodisk verify and nodisk bench.": "Raporty tworzą polecenia nodisk verify i nodisk bench.",
    "Restarts": "Ponowne starty",
    "Result": "Wynik",
    "Role": "Rola",
    "Room": "Sala",
    "Schedule": "Harmonogram",
    "Seat": "Miejsce",
    "Send wake-up packets, and wait for nothing": "Wyślij pakiety budzące i nie czekaj",
    "Show": "Pokaż",
    "Shut down": "Wyłącz",
    "Shut down, then switch on again": "Wyłącz i włącz ponownie",
    "Sign in": "Zaloguj się",
    "Sign in as": "Zaloguj się jako",
    "Sign out": "Wyloguj się",
    "Size": "Rozmiar",
    "Skip to the content": "Przejdź do treści",
    "Stage": "Etap",
    "Start": "Uruchomienie",
    "State": "Stan",
    "Storage": "Miejsce na pliki",
    "Student": "Student",
    "Students": "Studenci",
    "Suspended": "Zawieszeni",
    "Switch on": "Włącz",
    "System pods": "Pody systemowe",
    "Takes pods": "Przyjmuje pody",
    "Teachers": "Nauczyciele",
    "That can't be done": "Tego nie można zrobić",
    "That link is used, late or wrong. Ask for a new one: nodisk console.": (
        "Ten link został już użyty, wygasł lub jest błędny. Poproś o nowy: nodisk console."
    ),
    "The lab has no backup, and lab.yaml plans none.": "Nie ma żadnej kopii zapasowej, a lab.yaml żadnej nie planuje.",
    "The same by command": "To samo poleceniem",
    "The slowest": "Najwolniejszy",
    "Tick": "Zaznacz",
    "Time": "Czas",
    "Took": "Trwało",
    "Version": "Wersja",
    "Warning": "Ostrzeżenie",
    "What": "Co",
    "What fails": "Co nie działa",
    "What to do": "Co zrobić",
    "What went wrong": "Co się nie udało",
    "Where": "Gdzie",
    "With all": "Ze wszystkimi",
    "With row": "Z rzędem",
    "With the ticked ones": "Z zaznaczonymi",
    "With this machine": "Z tym komputerem",
    "active": "aktywny",
    "admin": "administrator",
    "asked": "wysłano prośbę",
    "confirmed": "potwierdzono",
    "d": "dni",
    "failed": "błąd",
    "h": "godz.",
    "less than a minute": "mniej niż minuta",
    "min": "min",
    "never seen": "niewidziany",
    "next": "następny",
    "no": "nie",
    "none": "brak",
    "of": "z",
    "previous": "poprzedni",
    "ready": "gotowy",
    "s": "s",
    "seconds": "s",
    "silent": "milczy",
    "suspended": "zawieszony",
    "teacher": "nauczyciel",
    "under way": "startuje",
    "unknown": "nie wiadomo",
    "viewer": "obserwator",
    "yes": "tak",
}


def choose(asked: str, accepted: str) -> str:
    """The language of an answer.

    ``asked``: what the address or a cookie says; ``accepted``: the header Accept-Language (RFC 9110, 12.5.4), of which
    the order counts and the weights don't: browsers write the two alike.
    """
    if asked in LANGUAGES:
        return asked
    for part in accepted[:200].split(","):
        language = part.partition(";")[0].strip().lower().partition("-")[0]
        if language in LANGUAGES:
            return language
    return "en"


def translator(language: str) -> Translate:
    """English → that language; a text that the catalogue doesn't have stays as it is."""
    return (lambda text: POLISH.get(text, text)) if language == "pl" else (lambda text: text)
