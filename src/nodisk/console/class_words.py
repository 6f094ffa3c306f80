"""Polish for pages of classes, Headlamp, backups and a machine's node; ``words`` has the rest."""

from __future__ import annotations

POLISH = {
    "A dashboard of the cluster. You get a token that is good for an hour.": (
        "Panel klastra. Dostaniesz token ważny przez godzinę."
    ),
    "A key for each student, and a sheet to print. Give each only their own.": (
        "Klucz każdego studenta i kartka do wydruku. Daj każdemu tylko jego własne."
    ),
    "Add-on": "Dodatek",
    "Add-ons": "Dodatki",
    "Alarms of the last 24 hours": "Alarmy z ostatniej doby",
    "Back to the backups": "Wróć do kopii zapasowych",
    "Back to the classes": "Wróć do klas",
    "Back to the cluster": "Wróć do klastra",
    "By the lab's administrator's kubectl, encrypted, at http://localhost:8080/:": (
        "Przez kubectl administratora laboratorium, szyfrowane, pod adresem http://localhost:8080/:"
    ),
    "CSV or text, as your school's register exports it. It is used instead of what is written above.": (
        "CSV lub tekst, taki jak z dziennika szkoły. Liczy się zamiast tego, co wpisano wyżej."
    ),
    "Cards with codes": "Karty z kodami",
    "Choose one of the sizes.": "Wybierz jeden z rozmiarów.",
    "Condition": "Warunek",
    "Download the cards": "Pobierz karty",
    "Download the handouts": "Pobierz materiały",
    "Each gets a code for the first sign-in. The class's page then has cards with them, to be taken once.": (
        "Każdy dostanie kod do pierwszego logowania. Na stronie klasy będą karty z kodami, do jednorazowego pobrania."
    ),
    "Each student's page shows it for a day, instead of what it showed before.": (
        "Strona każdego studenta pokaże ją przez dobę, zamiast poprzedniej."
    ),
    "Expected": "Oczekiwano",
    "File": "Plik",
    "Good until": "Ważny do",
    "Headlamp asks for a token. Copy this one; it is shown once, and what you may do is what it may do.": (
        "Headlamp prosi o token. Skopiuj ten; jest pokazany raz i pozwala na to samo, co Tobie wolno."
    ),
    "Headlamp has no address that a browser reaches. The lab's administrator can give it one.": (
        "Headlamp nie ma adresu, do którego sięga przeglądarka. Może go nadać administrator laboratorium."
    ),
    "Headlamp is not in the cluster. The lab's administrator can put it there: nodisk addons apply headlamp.": (
        "Headlampa nie ma w klastrze. Może go dodać administrator laboratorium: nodisk addons apply headlamp."
    ),
    "Images": "Obrazy",
    "It differs from what was applied, or something was refused. What differs: nodisk addons diff": (
        "Różni się od tego, co wdrożono, albo coś odrzucono. Co się różni: nodisk addons diff"
    ),
    "Kind": "Rodzaj",
    "Lab": "Laboratorium",
    "Last signed in": "Ostatnie logowanie",
    "Load it again": "Wczytaj ją ponownie",
    "Loaded in this boot": "Wczytane przy tym starcie",
    "Make a backup": "Utwórz kopię zapasową",
    "Make a class": "Utwórz klasę",
    "Make codes to sign in with": "Utwórz kody do logowania",
    "Message to the class": "Wiadomość do klasy",
    "Message to the students": "Wiadomość do studentów",
    "NAME:TAG": "NAZWA:ZNACZNIK",
    "Namespaces": "Przestrzenie nazw",
    "No student's page shows it any more.": "Żadna strona studenta już jej nie pokaże.",
    "Nobody knows.": "Nie wiadomo.",
    "Nothing is made yet.": "Jeszcze nic nie powstało.",
    "Nothing of it is in the cluster. To put it there: nodisk addons apply": (
        "W klastrze nic z niego nie ma. Aby go dodać: nodisk addons apply"
    ),
    "One name per line; or a table with headings, copied from a spreadsheet or a CSV file.": (
        "Jedno imię i nazwisko w wierszu albo tabela z nagłówkami, skopiowana z arkusza lub pliku CSV."
    ),
    "Only the cluster has it. To remove it: nodisk addons remove": (
        "Ma go tylko klaster. Aby go usunąć: nodisk addons remove"
    ),
    "Open Headlamp": "Otwórz Headlamp",
    "Open Headlamp in a new window": "Otwórz Headlamp w nowym oknie",
    "Or a file with them": "Albo plik z nimi",
    "Others watch this terminal already.": "Inni oglądają już ten terminal.",
    "Prove the newest backup": "Sprawdź najnowszą kopię zapasową",
    "Quota used": "Zużycie limitu",
    "RAM when it was ready": "RAM, gdy był gotowy",
    "Replace codes and passphrases": "Wymień kody i hasła",
    "See it again": "Sprawdź ponownie",
    "See what it would be": "Zobacz, co powstanie",
    "Show the cards, to print them": "Pokaż karty do wydruku",
    "Start over": "Zacznij od nowa",
    "Storage of each student on the server, such as 2Gi; empty for none": (
        "Miejsce każdego studenta na serwerze, na przykład 2Gi; puste, jeśli żadne"
    ),
    "Tab leaves the terminal.": "Tab opuszcza terminal.",
    "Tell the class": "Powiadom klasę",
    "That is too long: make the class with its first students, and add the others by command.": (
        "To za długie: utwórz klasę z pierwszymi studentami, a pozostałych dodaj poleceniem."
    ),
    "The button opens it at these namespaces. It can't list them by itself: if it shows nothing there, write them into"
    " its settings, at allowed namespaces.": (
        "Przycisk otwiera go w tych przestrzeniach nazw. Sam ich nie wypisze: jeśli nic tam nie pokaże, wpisz je w jego"
        " ustawieniach, w „allowed namespaces”."
    ),
    "The newest backup is restored beside the lab and compared; the lab itself is not touched.": (
        "Najnowsza kopia zostanie odtworzona obok laboratorium i porównana; samo laboratorium pozostaje nietknięte."
    ),
    "The server keeps running meanwhile. Students' writes to storage wait while it is copied.": (
        "Serwer w tym czasie działa dalej. Zapisy studentów w magazynie czekają, gdy jest kopiowany."
    ),
    "The student's page does not show that you watch, so nothing is shown here.": (
        "Strona studenta nie pokazuje, że oglądasz, więc nic tu nie widać."
    ),
    "The student's terminal was closed.": "Terminal studenta został zamknięty.",
    "The way there is not encrypted: on the room's network, anyone who listens can read the token.": (
        "Droga tam nie jest szyfrowana: w sieci sali token może odczytać ten, kto podsłuchuje."
    ),
    (
        "Their codes, passphrases and sessions end at once. The class's page then has cards with new codes, to be taken"
        " once."
    ): (
        "Ich kody, hasła i sesje kończą się od razu. Na stronie klasy będą karty z nowymi kodami, do jednorazowego"
        " pobrania."
    ),
    "There is a class of that name already.": "Klasa o tej nazwie już istnieje.",
    "They can be taken once: nobody can see these codes again. Give each student only their own.": (
        "Można je pobrać raz: nikt więcej nie zobaczy tych kodów. Daj każdemu studentowi tylko jego własny."
    ),
    "This page changes only when it is loaded.": "Ta strona zmienia się tylko przy wczytaniu.",
    "This server lacks the terminal's files. Its administrator can install these Debian packages:": (
        "Na tym serwerze brakuje plików terminala. Administrator może zainstalować te pakiety Debiana:"
    ),
    "This student has no terminal open now.": "Ten student nie ma teraz otwartego terminala.",
    "To push one: docker login, with the token in your key file as the password.": (
        "Aby wysłać obraz: docker login, a jako hasło token z pliku z kluczem."
    ),
    "To the cards": "Do kart",
    "Token": "Token",
    "Use up to 20 lower-case letters, digits and hyphens, with a letter first, and no name that the system has.": (
        "Użyj do 20 małych liter, cyfr i łączników, najpierw litery, i nie nazwy systemowej."
    ),
    "Waiting until the student's page shows that you watch …": "Czekam, aż strona studenta pokaże, że oglądasz …",
    "Watch": "Oglądaj",
    "Watching needs JavaScript.": "Oglądanie wymaga JavaScriptu.",
    "What their pages should show": "Co mają pokazać ich strony",
    "Withdraw the message": "Wycofaj wiadomość",
    "Write a number of days from 1 to 1000.": "Wpisz liczbę dni od 1 do 1000.",
    "Write an amount of at least 16Mi, such as 2Gi, or nothing.": "Wpisz co najmniej 16Mi, na przykład 2Gi, albo nic.",
    "Write names, separated by commas.": "Wpisz imiona i nazwiska oddzielone przecinkami.",
    "Write the students' names, one per line, or paste a table.": (
        "Wpisz imiona i nazwiska, po jednym w wierszu, albo wklej tabelę."
    ),
    "You are its teacher.": "Będzie to Twoja klasa.",
    "You may not watch this terminal any more.": "Nie możesz już oglądać tego terminala.",
    "You only watch: nothing that you type gets there. The student sees your name.": (
        "Tylko oglądasz: nic, co napiszesz, tam nie trafi. Student widzi Twoje imię i nazwisko."
    ),
    "Your images": "Twoje obrazy",
    "all, to look at": "wszystkie, do podglądu",
    "applied": "wdrożony",
    "changed": "zmieniony",
    "code not used yet": "kod jeszcze nieużyty",
    "has a passphrase": "ma hasło",
    "no code": "brak kodu",
    "not applied": "niewdrożony",
    "not in lab.yaml": "spoza lab.yaml",
    "unreadable": "nieczytelny",
    "watches this terminal.": "ogląda ten terminal.",
}
