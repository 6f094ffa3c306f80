"""The pages' languages: a catalogue from English to Polish. What machines said is shown as they said it."""

from __future__ import annotations

from collections.abc import Callable

from nodisk.console import class_words, guess_words, upgrade_words

Translate = Callable[[str], str]
LANGUAGES = {"en": "English", "pl": "Polski"}

POLISH = {
    "A code works once.": "Kod działa raz.",
    "A shell with kubectl in your namespace, here in the browser.": (
        "Powłoka z kubectl w Twojej przestrzeni nazw, tutaj w przeglądarce."
    ),
    "Accept pods again": "Przyjmuj znów pody",
    "Activity": "Dziennik",
    "Address": "Adres",
    "Adopt": "Przyjmij",
    "Adopted": "Przyjęto",
    "All": "Wszystkie",
    "All backups by command": "Wszystkie kopie poleceniem",
    "Answer": "Odpowiedź",
    "At its next boot it starts what is chosen, later its default again. Nothing is switched now.": (
        "Przy następnym starcie uruchomi to, co wybrano, a potem znów to, co domyślnie. Teraz nic nie jest przełączane."
    ),
    "At least 12 characters, such as four words.": "Co najmniej 12 znaków, na przykład cztery słowa.",
    "At the next boot": "Przy następnym starcie",
    "Back to the class": "Wróć do klasy",
    "Back to the room": "Wróć do sali",
    "Back to the unknown machines": "Wróć do nieznanych komputerów",
    "Back to your page": "Wróć do swojej strony",
    "Backups": "Kopie zapasowe",
    "Boot": "Start",
    "Boot by default again": "Startuj znów domyślnie",
    "Broken": "Uszkodzony",
    "CPU (limits)": "Procesor (limity)",
    "CPU (requests)": "Procesor (żądania)",
    "Choose a passphrase": "Wymyśl hasło",
    "Choose a passphrase of 12 to 128 characters.": "Wymyśl hasło o długości od 12 do 128 znaków.",
    "Choose a passphrase that is harder to guess.": "Wymyśl hasło trudniejsze do odgadnięcia.",
    "Choose the next boot, once": "Wybierz następny start, raz",
    "Choose the next boots, until cleared": "Wybierz następne starty, do odwołania",
    "Claims": "Woluminy (PVC)",
    "Class": "Klasa",
    "Classes": "Klasy",
    "Cluster": "Klaster",
    "Code": "Kod",
    "Connect again": "Połącz ponownie",
    "Connecting …": "Łączenie …",
    "Crash": "Awaria",
    "Credential until": "Dostęp do",
    "Ctrl+F6 leaves the terminal and goes to the button below it. Tab is for the shell.": (
        "Ctrl+F6 opuszcza terminal i przechodzi do przycisku pod nim. Tab jest dla powłoki."
    ),
    "Cut the power, then switch on again": "Odetnij zasilanie i włącz ponownie",
    "Days from today to the end": "Dni od dziś do końca",
    "Detail": "Szczegóły",
    "Do it": "Wykonaj",
    "Download the key file": "Pobierz plik-klucz",
    "Empty namespaces": "Opróżnij przestrzenie nazw",
    "End": "Koniec",
    "Events": "Zdarzenia",
    "Everything that they have in the cluster is deleted. Keys and storage stay.": (
        "Wszystko, co mają w klastrze, zostanie usunięte. Klucze i dysk zostają."
    ),
    "Files": "Pliki",
    "Files in /home stay on the server.": "Pliki w /home zostają na serwerze.",
    "Files in the terminal end with it.": "Pliki w terminalu znikają razem z nim.",
    "First time here": "Pierwszy raz tutaj",
    "For a screen reader": "Dla czytnika ekranu",
    "From": "Skąd",
    "Go on": "Dalej",
    "Has": "Ma",
    "How": "Jak",
    "Ignore": "Pomiń",
    "Ignored": "Pomijane",
    "Image": "Obraz",
    "It becomes a worker, and boots as one when it next starts while the lab is armed.": (
        "Stanie się węzłem roboczym i wystartuje jako taki przy następnym uruchomieniu, gdy pracownia jest uzbrojona."
    ),
    "It can be used once.": "Można go użyć raz.",
    "It ends after half an hour without use, and with your session.": (
        "Kończy się po pół godzinie bez użycia oraz razem z sesją."
    ),
    "It is listed and counted as the others are.": "Jest pokazywany i liczony jak inne.",
    "It is listed and counted no more, and can still be adopted.": (
        "Nie jest już pokazywany ani liczony; nadal można go przyjąć."
    ),
    "It starts what is chosen at every boot, until that is cleared. Nothing is switched now.": (
        "Przy każdym starcie uruchomi to, co wybrano, aż do odwołania. Teraz nic nie jest przełączane."
    ),
    "It takes this of your quota while it is open:": "Gdy jest otwarty, zajmuje z Twojego przydziału:",
    "It works for 12 hours, in your namespace only. Keep it to yourself.": (
        "Działa 12 godzin, tylko w Twojej przestrzeni nazw. Nie przekazuj go nikomu."
    ),
    "Lab": "Pracownia",
    "Language": "Język",
    "Last backup": "Ostatnia kopia",
    "Last proved by a restore": "Ostatnia sprawdzona odtworzeniem",
    "Last seen": "Ostatnio widziany",
    "Leadership": "Kto zarządza",
    "Login": "Login",
    "MAC address": "Adres MAC",
    "Machine": "Komputer",
    "Machines": "Komputery",
    "Main menu": "Menu główne",
    "Maker": "Producent",
    "Median of the room": "Mediana w pracowni",
    "Memory": "Pamięć",
    "Model": "Model",
    "Move pods away, and accept no new ones": "Przenieś pody i nie przyjmuj nowych",
    "Move pods away, then shut down": "Przenieś pody i wyłącz",
    "Move the end": "Przesuń koniec",
    "Name": "Nazwa",
    "Namespace": "Przestrzeń nazw",
    "New": "Nowe",
    "Next": "Następna",
    "Next boot": "Następny start",
    "No machine has room for the terminal now. It starts as soon as one has.": (
        "Żaden komputer nie ma teraz miejsca na terminal. Uruchomi się, gdy miejsce się znajdzie."
    ),
    "No room": "Brak miejsca",
    "Nobody is signed in here": "Nikt nie jest tu zalogowany",
    "Nobody knows: the API does not answer.": "Nie wiadomo: API nie odpowiada.",
    "Nobody used the terminal for half an hour, so it was ended.": (
        "Przez pół godziny nikt nie używał terminala, więc został zakończony."
    ),
    "Node": "Węzeł",
    "NodePorts": "NodePorty",
    "Nodes": "Węzły",
    "Nodes have": "Węzły mają",
    "Note that it is broken": "Oznacz jako uszkodzony",
    "Note that it is mended": "Oznacz jako naprawiony",
    "Nothing answers yet. A Service of type NodePort appears here.": (
        "Jeszcze nic nie odpowiada. Usługa typu NodePort pojawi się tutaj."
    ),
    "Nothing fails.": "Wszystko działa.",
    "Nothing here.": "Nic tu nie ma.",
    "Object": "Obiekt",
    "On its way": "W toku",
    "Only alarms": "Tylko alarmy",
    "Open the link that nodisk console or nodisk console invite printed.": (
        "Otwórz link wypisany przez polecenie nodisk console albo nodisk console invite."
    ),
    "Open the terminal": "Otwórz terminal",
    "Passphrase": "Hasło",
    "Pod": "Pod",
    "Pods": "Pody",
    "Pods ask for": "Pody żądają",
    "Printed last": "Ostatnio wypisane",
    "Promised to classes": "Obiecane klasom",
    "Quota": "Limit",
    "RAM free": "Wolna pamięć",
    "Refused": "Odmowa",
    "Replace credentials": "Wymień dane dostępowe",
    "Report": "Raport",
    "Reports": "Raporty",
    "Reports are made by nodisk verify and nodisk bench.": "Raporty tworzą polecenia nodisk verify i nodisk bench.",
    "Restarts": "Ponowne starty",
    "Restore access": "Przywróć dostęp",
    "Result": "Wynik",
    "Role": "Rola",
    "Room": "Sala",
    "Schedule": "Harmonogram",
    "Seat": "Miejsce",
    "Send wake-up packets, and don't wait": "Wyślij pakiety budzące i nie czekaj",
    "Serial number": "Numer seryjny",
    "Service": "Usługa",
    "Set the passphrase and sign in": "Ustaw hasło i zaloguj się",
    "Show": "Pokaż",
    "Show again": "Pokazuj znowu",
    "Shut down": "Wyłącz",
    "Shut down, then switch on again": "Wyłącz i włącz ponownie",
    "Sign in": "Zaloguj się",
    "Sign in as": "Zaloguj się jako",
    "Sign in to the class": "Zaloguj się do klasy",
    "Sign out": "Wyloguj się",
    "Size": "Rozmiar",
    "Skip to the content": "Przejdź do treści",
    "Stage": "Etap",
    "Start": "Uruchomienie",
    "State": "Stan",
    "Storage": "Miejsce na pliki",
    "Student": "Student",
    "Students": "Studenci",
    "Suspend access": "Zawieś dostęp",
    "Suspended": "Zawieszeni",
    "Switch on": "Włącz",
    "Switch port": "Port przełącznika",
    "System pods": "Pody systemowe",
    "Takes pods": "Przyjmuje pody",
    "Teachers": "Nauczyciele",
    "Terminal": "Terminal",
    "That can't be done": "Tego nie można zrobić",
    "That code is wrong, used or expired. Ask your teacher for a new one.": (
        "Ten kod jest błędny, użyty albo wygasł. Poproś prowadzącego o nowy."
    ),
    "That is no class's name.": "Nie ma klasy o takiej nazwie.",
    "That link is used, expired or wrong. Ask for a new one: nodisk console.": (
        "Ten link został już użyty, wygasł lub jest błędny. Poproś o nowy: nodisk console."
    ),
    "That terminal has ended; what it showed last stands above. This is a new one.": (
        "Tamten terminal się skończył; powyżej jest to, co pokazał na końcu. Ten jest nowy."
    ),
    "The class ends on another day, which may be an earlier one. New keys are in the handouts.": (
        "Klasa skończy się innego dnia, być może wcześniej. Nowe klucze są w materiałach."
    ),
    "The class has ended.": "Klasa się skończyła.",
    "The cluster does not answer.": "Klaster nie odpowiada.",
    "The cluster refuses a terminal.": "Klaster odmawia terminala.",
    "The code is on the card from your teacher.": "Kod jest na kartce od prowadzącego.",
    "The connection broke. Trying again …": "Połączenie zostało przerwane. Kolejna próba …",
    "The connection to the terminal broke. Trying again …": (
        "Połączenie z terminalem zostało przerwane. Kolejna próba …"
    ),
    "The console restarts.": "Konsola uruchamia się ponownie.",
    "The lab has no backup, and lab.yaml plans none.": "Nie ma żadnej kopii zapasowej, a lab.yaml żadnej nie planuje.",
    "The login or the passphrase is wrong.": "Login lub hasło jest nieprawidłowe.",
    "The page and the console don't understand each other. Reload the page.": (
        "Strona i konsola nie rozumieją się. Odśwież stronę."
    ),
    "The passphrase once more": "Powtórz hasło",
    "The note is forgotten. Nothing is switched now.": "Notatka zostanie usunięta. Teraz nic nie jest przełączane.",
    "The room's page shows the note, and nodisk room on leaves the PC alone. Nothing is switched now.": (
        "Strona sali pokaże notatkę, a nodisk room on pominie ten komputer. Teraz nic nie jest przełączane."
    ),
    "The same by command": "To samo poleceniem",
    "The server reads lab.yaml again. In a few seconds the machine has a page.": (
        "Serwer wczytuje lab.yaml na nowo. Za kilka sekund komputer będzie miał swoją stronę."
    ),
    "The shell has ended.": "Powłoka się zakończyła.",
    "The slowest": "Najwolniejszy",
    "The terminal could not get its key.": "Terminal nie mógł dostać swojego klucza.",
    "The terminal is ready.": "Terminal jest gotowy.",
    "The terminal needs JavaScript. Without it, download your key file and use kubectl on your computer:": (
        "Terminal wymaga JavaScriptu. Bez niego pobierz swój plik-klucz i użyj kubectl na swoim komputerze:"
    ),
    "The terminal starts …": "Terminal się uruchamia …",
    "The terminal was opened in another window, and continues there.": (
        "Terminal otwarto w innym oknie i tam działa dalej."
    ),
    "The terminal's pod does not start.": "Pod terminala się nie uruchamia.",
    "The terminal's pod took too long to start.": "Pod terminala uruchamiał się zbyt długo.",
    "The two passphrases differ.": "Hasła się różnią.",
    "Their keys and sessions end at once. New keys are in the handouts.": (
        "Ich klucze i sesje kończą się od razu. Nowe klucze są w materiałach."
    ),
    "They asked for a boot script and are not in lab.yaml. What they say about themselves may be made up.": (
        "Prosiły o skrypt startowy, a nie ma ich w lab.yaml. To, co mówią o sobie, może być zmyślone."
    ),
    "They can't sign in and use their keys until access is restored. What runs goes on.": (
        "Do przywrócenia dostępu nie zalogują się i nie użyją kluczy. To, co działa, działa dalej."
    ),
    "They get in with the same keys as before.": "Wejdą z tymi samymi kluczami co wcześniej.",
    "This class has no terminals.": "Ta klasa nie ma terminali.",
    "This lab has no image for terminals. Its administrator can build one: nodisk build.": (
        "Nie ma obrazu dla terminali. Administrator może go zbudować: nodisk build."
    ),
    "This server lacks the terminal's files. Ask your teacher to install these Debian packages:": (
        "Na tym serwerze brakuje plików terminala. Poproś prowadzącego o zainstalowanie tych pakietów Debiana:"
    ),
    "Tick": "Zaznacz",
    "Time": "Czas",
    "Too many terminals are open now. Try again in a few minutes.": (
        "Zbyt wiele terminali jest teraz otwartych. Spróbuj za kilka minut."
    ),
    "Took": "Trwało",
    "Unknown machines": "Nieznane komputery",
    "Used": "Użyto",
    "Version": "Wersja",
    "Warning": "Ostrzeżenie",
    "What": "Co",
    "What answers": "Co odpowiada",
    "What fails": "Co nie działa",
    "What is wrong with it": "Co jest nie tak",
    "What runs": "Co działa",
    "What to do": "Co zrobić",
    "What was chosen for its next boot is forgotten. Nothing is switched now.": (
        "To, co wybrano na następny start, zostanie zapomniane. Teraz nic nie jest przełączane."
    ),
    "What went wrong": "Co się nie udało",
    "Where": "Gdzie",
    "With all": "Ze wszystkimi",
    "With row": "Z rzędem",
    "With the ticked ones": "Z zaznaczonymi",
    "With this machine": "Z tym komputerem",
    "You come back": "Wracasz",
    "You have a pod called terminal that is not the door's. Delete it or give it another name.": (
        "Masz pod o nazwie terminal, który nie jest stąd. Usuń go lub nazwij inaczej."
    ),
    "Your access is suspended. Ask your teacher.": "Twój dostęp jest zawieszony. Zapytaj prowadzącego.",
    "Your key for kubectl": "Twój klucz do kubectl",
    "Your quota": "Twój limit",
    "Your quota has no room for a terminal. Delete something that you don't need.": (
        "W Twoim przydziale nie ma miejsca na terminal. Usuń coś, czego nie potrzebujesz."
    ),
    "Your session has ended. Sign in again.": "Twoja sesja się skończyła. Zaloguj się ponownie.",
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
    "no such page": "nie ma takiej strony",
    "none": "brak",
    "of": "z",
    "previous": "poprzedni",
    "ready": "gotowy",
    "s": "s",
    "seconds": "s",
    "sign in first": "najpierw się zaloguj",
    "silent": "milczy",
    "suspended": "zawieszony",
    "teacher": "nauczyciel",
    "too many wrong tries: wait a minute": "za dużo błędnych prób: poczekaj minutę",
    "under way": "startuje",
    "unknown": "nie wiadomo",
    "viewer": "obserwator",
    "yes": "tak",
}
POLISH |= class_words.POLISH | guess_words.POLISH | upgrade_words.POLISH


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
