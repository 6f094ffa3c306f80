"""Polish for the pages of upgrades and reports; ``words`` has the rest."""

from __future__ import annotations

POLISH = {
    (
        "A few machines at a time are emptied and booted, control planes first, and the cluster is tested after each "
        "step. It begins only with a backup that was proved in the last 24 hours, and stops at the first failure."
    ): (
        "Po kilka komputerów naraz jest opróżnianych i uruchamianych, najpierw węzły sterujące, a po każdym kroku "
        "klaster jest sprawdzany. Zaczyna się tylko z kopią zapasową sprawdzoną w ciągu ostatniej doby i zatrzymuje "
        "przy pierwszym błędzie."
    ),
    "A newer build is made by command": "Nowszą wersję tworzy polecenie",
    "Away": "Nieobecne",
    "Back to the upgrade": "Wróć do aktualizacji",
    "Before": "Dotychczas",
    "Boot machines into the current build": "Uruchom komputery z bieżącą wersją",
    "Booted last": "Ostatnio uruchomiono",
    "Current build": "Bieżąca wersja",
    "Done": "Gotowe",
    "Machines are going back now.": "Komputery wracają do poprzedniej wersji.",
    "The upgrade is running.": "Aktualizacja trwa.",
    "The way back stopped before its end.": "Powrót się zatrzymał.",
    "The upgrade stopped before its end.": "Aktualizacja się zatrzymała.",
    "Upgraded machines boot the build that they had before, step by step, the last ones first.": (
        "Komputery, które przeszły, uruchamiają poprzednią wersję, krok po kroku, ostatnie najpierw."
    ),
    "No machine runs another build than the current one.": "Żaden komputer nie działa z inną wersją niż bieżąca.",
    "Return machines to the previous build": "Przywróć komputerom poprzednią wersję",
    "Some machines run another build than the current one.": "Niektóre komputery działają z inną wersją niż bieżąca.",
    "Steps to come": "Następne kroki",
    "Upgrade": "Aktualizacja",
    "What it said": "Co wypisała",
    "another build": "inna wersja",
    "nothing yet": "jeszcze nic",
    "the current build": "bieżąca wersja",
    "Figures of different days tell of this server and its room as much as of the cluster.": (
        "Wartości z różnych dni mówią o tym serwerze i sali tyle samo, co o klastrze."
    ),
    "Measure": "Miara",
    "Median before": "Mediana wcześniejszych",
    "Newest": "Najnowsza",
    "Oldest to newest": "Od najstarszej do najnowszej",
    "Ratio": "Stosunek",
    "Trend of nodisk bench": "Przebieg nodisk bench",
    "values": "wartości",
}
