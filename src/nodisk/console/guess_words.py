"""Polish for what perhaps holds a machine up (``machines.guesses``), with the same places in each sentence."""

from __future__ import annotations

from nodisk.machines import guesses

POLISH = {
    guesses.BROKEN: "może dlatego, że jest oznaczony jako uszkodzony",
    guesses.NO_LINK: "może kabel albo port przełącznika: wypisał, że karta sieciowa nie ma połączenia",
    guesses.NO_MEMORY: "może ma za mało pamięci: wypisał, że coś jest pełne",
    guesses.HARDWARE: "może sprzęt: wypisał błędy urządzenia",
    guesses.SERVICE: "może usługa: wypisał, że {what} zawiodła",
    guesses.AGAIN: "może droga do serwera: wypisał, że próbuje ponownie",
    guesses.API: "może jest już dalej: wie to tylko API, a ono nie odpowiada",
    guesses.CONTROL_PLANE: "może czeka na węzeł sterujący: żaden nie jest gotowy",
    guesses.USUAL: "może to nic: połowie startów w tej sali zajęło to {usual}",
    guesses.MENU: "może czeka na klawisz w menu startowym",
    guesses.KERNEL: (
        "może jądro nie startuje albo nie ma sterownika karty sieciowej: wczytał oba pliki i nic nie powiedział"
    ),
    guesses.FIRMWARE: "może wciąż wczytuje jądro: serwer nie wysłał go jeszcze w całości",
    guesses.TWICE: "może transfery się urywają: wczytał {mb} MB, inne {others} MB",
    guesses.LINK: "może kabel: przy pomiarze miał {mbps} Mbit/s do serwera, inne {others}",
    guesses.CROWD: "może kabel serwera jest zajęty: obraz wczytuje teraz {count} komputerów",
    guesses.PEERS: "może niewiele komputerów ma już obraz, by go przekazać: wczytuje go teraz {count}",
    guesses.IMAGES: "może pobiera obrazy kontenerów, jak teraz {count} komputerów",
    guesses.OTHERS: "może ten komputer: połowie startów w tej sali zajęło to {usual}",
}
